# Multinomial logit by nnet: multinom() without a penalty, nnet() itself with decay.

source("common.R")
library(nnet)

# nnet's optimiser compares values of the likelihood, so it stops some 1e-6 standard errors from the optimum; Newton
# steps with nnet's own residuals and Hessian, evaluated by nnet (maxit = 0), go the rest of the way.
fit_multinom <- function(formula, data, count) {
  data$count <- count
  fit <- multinom(formula, data, weights = count, Hess = TRUE, trace = FALSE, maxit = 10000, abstol = 0, reltol = 1e-14)
  for (step in 1:3) {
    gradient <- crossprod(model.matrix(fit), count * residuals(fit))[, -1]
    change <- vcov(fit) %*% as.vector(gradient)
    left <- max(abs(change) / sqrt(diag(vcov(fit))))
    stopifnot(left < 1e-4)
    wts <- matrix(fit$wts, ncol = length(fit$lev))
    wts[-1, -1] <- wts[-1, -1] + as.vector(change)
    start <- as.vector(wts)
    fit <- multinom(formula, data, weights = count, Hess = TRUE, trace = FALSE, maxit = 0, Wts = start)
  }
  stopifnot(left < 1e-9)
  fit
}

# R's gv is g[v] here.
labels_of <- function(names) gsub("\\bg(\\w)$", "g[\\1]", sub("(Intercept)", "Intercept", names, fixed = TRUE))

multinom_case <- function(formula, data, count = rep(1, nrow(data)), newdata = head(data, 5)) {
  fit <- fit_multinom(as.formula(formula), data, count)
  estimates <- coef(fit)
  as_case(
    rep(rownames(estimates), each = ncol(estimates)), rep(labels_of(colnames(estimates)), nrow(estimates)),
    as.vector(t(estimates)), vcov(fit), logLik(fit), fit$lev, predict(fit, newdata, "probs"),
    formula = jsonlite::unbox(formula)
  )
}

# multinom(decay) penalises the constants and leaves the base outcome out, so nnet() is used: no hidden layer, a bias
# and slopes for every outcome, decay on the slopes only. It minimises sum(nll) + sum(decay * w^2); econllm minimises
# mean(nll) + alpha / 2 * sum(w^2): decay is n * alpha / 2. Numbers are divided by their standard deviation (with n, not
# n - 1), the factor has all its levels. Constants sum to zero over outcomes, as slopes then do by themselves.
decay_case <- function(data, alpha) {
  n <- nrow(data)
  scale <- c(sapply(data[c("x", "z")], function(v) sqrt(mean((v - mean(v))^2))), u = 1, v = 1, w = 1)
  dummies <- class.ind(data$g)
  x <- cbind(x = data$x / scale["x"], z = data$z / scale["z"], dummies)
  y <- class.ind(data$y)
  decay <- rep(c(0, rep(n * alpha / 2, ncol(x))), ncol(y))
  fit_nnet <- function(start, maxit) {
    nnet(x, y, size = 0, skip = TRUE, softmax = TRUE, decay = decay, Wts = start, Hess = TRUE, trace = FALSE,
         maxit = maxit, abstol = 0, reltol = 1e-14)
  }
  fit <- fit_nnet(numeric(length(decay)), 10000)
  level <- as.vector(rbind(rep(1, ncol(y)), matrix(0, ncol(x), ncol(y)))) # moves no probability and is not penalised
  for (step in 1:3) {
    gradient <- 2 * decay * fit$wts + as.vector(crossprod(cbind(1, x), fitted(fit) - y))
    change <- solve(fit$Hessian + tcrossprod(level), gradient)
    stopifnot(max(abs(change)) < 1e-4)
    fit <- fit_nnet(fit$wts - change, 0)
  }
  stopifnot(max(abs(change)) < 1e-9)
  w <- matrix(fit$wts, ncol = ncol(y))
  w[1, ] <- w[1, ] - mean(w[1, ])
  w[-1, ] <- w[-1, ] / scale
  list(
    responses = rep(colnames(y), each = nrow(w)),
    terms = rep(c("Intercept", "x", "z", "g[u]", "g[v]", "g[w]"), ncol(y)),
    estimates = as.vector(w), log_likelihood = jsonlite::unbox(sum(log(fitted(fit)[y == 1]))),
    outcomes = colnames(y), probabilities = unname(fitted(fit)[1:5, ]),
    formula = jsonlite::unbox("y ~ x + z + g"), alpha = jsonlite::unbox(alpha)
  )
}

data <- read_frame("choices")
wage <- read_frame("wage")
wage$occupation <- factor(wage$occupation)
wage_case <- multinom_case("occupation ~ educ + exper + black + married", wage, newdata = read_frame("profiles"))
wage_case$cov <- NULL # 40 by 40: its diagonal, the standard errors, is enough
cases <- list(
  plain = multinom_case("y ~ x + z", data),
  factor = multinom_case("y ~ z + x * g", data),
  weighted = multinom_case("y ~ x + z + g", data, data$count),
  wage = wage_case,
  decay = decay_case(data, 0.02)
)
store(cases, c("nnet", "jsonlite"), c("choices", "profiles", "wage"))
