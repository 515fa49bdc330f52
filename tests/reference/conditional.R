# Conditional logit by survival::clogit, with columns that vary by alternative, columns that do not, constants and
# choice sets that differ between rows; every fit is checked against the likelihood written out and maximised by optim.

source("common.R")
library(survival)

modes <- c("bus", "car", "train", "walk")

# One row per person and alternative; constants and income against the first alternative.
long_format <- function(data, sets) {
  parts <- lapply(modes, function(mode) {
    data.frame(
      id = seq_len(nrow(data)), mode = mode, chosen = as.numeric(data$y == mode), count = data$count,
      available = if (sets) data[[paste0("available[", mode, "]")]] == 1 else TRUE,
      price = data[[paste0("price[", mode, "]")]], time = data[[paste0("time[", mode, "]")]],
      sapply(modes[-1], function(other) as.numeric(mode == other), simplify = FALSE),
      sapply(paste0("income_", modes[-1]), function(other) data$income * (other == paste0("income_", mode)),
             simplify = FALSE)
    )
  })
  out <- do.call(rbind, parts)
  out[out$available, ]
}

# A row that was observed k times is k choice situations: clogit's exact likelihood takes no weights.
repeated <- function(long) {
  out <- long[rep(seq_len(nrow(long)), long$count), ]
  copy <- sequence(long$count)
  out$id <- out$id + copy / 100
  out
}

# -log-likelihood, its gradient and the information, summed over rows with their counts.
likelihood <- function(x, long, count) {
  shares <- function(b) {
    e <- exp(x %*% b)
    as.vector(e / ave(e, long$id, FUN = sum))
  }
  list(
    value = function(b) -sum((count * log(shares(b)))[long$chosen == 1]),
    gradient = function(b) -as.vector(crossprod(x, count * (long$chosen - shares(b)))),
    information = function(b) {
      p <- shares(b)
      mean <- rowsum(p * x, long$id)
      weight <- count[!duplicated(long$id)][match(rownames(mean), long$id[!duplicated(long$id)])]
      crossprod(x, count * p * x) - crossprod(mean, weight * mean)
    }
  )
}

# The likelihood has one optimum: two ways that find it must agree, in estimates, covariance and value.
check <- function(fit, x, long, count) {
  own <- likelihood(x, long, count)
  size <- pmax(1, abs(coef(fit)))
  best <- optim(numeric(ncol(x)), own$value, own$gradient, method = "BFGS",
                control = list(reltol = 1e-16, maxit = 10000, parscale = apply(x, 2, function(v) 1 / sd(v))))
  stopifnot(
    max(abs(own$gradient(coef(fit)))) < 1e-6,
    max(abs(best$par - coef(fit)) / size) < 1e-5,
    abs(best$value + fit$loglik[2]) < 1e-8,
    max(abs(solve(own$information(coef(fit))) / vcov(fit) - 1)) < 1e-6
  )
}

conditional_case <- function(formula, data, intercept, income, sets = FALSE, weighted = FALSE) {
  long <- long_format(data, sets)
  # In the order of econllm: by response the constant, then columns; common coefficients last.
  columns <- c(unlist(lapply(modes[-1], function(m) c(m[intercept], paste0("income_", m)[income]))), "price", "time")
  right <- paste(c(columns, "strata(id)"), collapse = " + ")
  fit <- clogit(as.formula(paste("chosen ~", right)), if (weighted) repeated(long) else long, method = "exact",
                control = coxph.control(eps = 1e-14, toler.chol = 1e-15, iter.max = 100))
  x <- as.matrix(long[columns])
  check(fit, x, long, if (weighted) long$count else rep(1, nrow(long)))
  shares <- matrix(0, nrow(data), length(modes))
  e <- exp(x %*% coef(fit))
  shares[cbind(long$id, match(long$mode, modes))] <- e / ave(e, long$id, FUN = sum)
  own <- intercept + income
  as_case(
    c(rep(modes[-1], each = own), "(common)", "(common)"),
    c(rep(c("Intercept"[intercept], "income"[income]), length(modes) - 1), "price[alt]", "time[alt]"),
    coef(fit), vcov(fit), fit$loglik[2], modes, head(shares, 8), formula = jsonlite::unbox(formula),
    choice_sets = jsonlite::unbox(sets), weighted = jsonlite::unbox(weighted)
  )
}

data <- read_frame("travel")
cases <- list(
  common = conditional_case("y ~ 0 | price[alt] + time[alt]", data, FALSE, FALSE),
  constants = conditional_case("y ~ 1 | price[alt] + time[alt]", data, TRUE, FALSE),
  income = conditional_case("y ~ income | price[alt] + time[alt]", data, TRUE, TRUE),
  unbalanced = conditional_case("y ~ income | price[alt] + time[alt]", data, TRUE, TRUE, sets = TRUE),
  weighted = conditional_case("y ~ income | price[alt] + time[alt]", data, TRUE, TRUE, sets = TRUE, weighted = TRUE)
)
store(cases, c("survival", "jsonlite"), "travel")
