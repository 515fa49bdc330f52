# glmnet: absolute values, squares and both, with weights and factors; the data are made here and stored with the values.
arguments <- commandArgs(trailingOnly = TRUE)
suppressMessages({library(glmnet); library(jsonlite)})
set.seed(20240501)
n <- 150; p <- 6; k <- 4
x <- matrix(round(rnorm(n * p), 3), n, p)
x[, 2] <- round(0.7 * x[, 1] + 0.7 * x[, 2], 3)
truth <- matrix(rnorm(p * k), p, k)
y <- max.col(x %*% truth - log(-log(matrix(runif(n * k), n, k)))) - 1
weights <- round(runif(n, 0.5, 2), 3)
factors <- c(0, 1, 1, 2, 0.5, 1)
fit <- function(l1_ratio, alpha, factors, weights) {
  # glmnet makes the penalty factors sum to the number of columns; alpha undoes it.
  lambda <- alpha * mean(factors)
  f <- glmnet(x, factor(y), family = "multinomial", type.multinomial = "ungrouped", alpha = l1_ratio,
              lambda = lambda * c(8, 4, 2, 1), standardize = FALSE, penalty.factor = factors, weights = weights,
              thresh = 1e-16, maxit = 1e7)
  list(l1_ratio = l1_ratio, alpha = alpha, factors = factors, weighted = any(weights != 1),
       slopes = unname(sapply(f$beta, function(b) as.matrix(b)[, 4])), intercepts = unname(f$a0[, 4]))
}
cases <- list()
for (l1_ratio in c(1, 0.5, 0)) {
  cases <- c(cases, list(fit(l1_ratio, 0.02, rep(1, p), rep(1, n)), fit(l1_ratio, 0.02, factors, weights)))
}
versions <- list(R = as.character(getRversion()), glmnet = as.character(packageVersion("glmnet")))
out <- list(versions = versions, x = x, y = y, weights = weights, cases = cases)
writeLines(toJSON(out, digits = 12, auto_unbox = TRUE), arguments[2])
