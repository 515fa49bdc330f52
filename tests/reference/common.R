# What the scripts share: reading the data, and storing values with the versions that made them.
# A script is run in this folder as: Rscript --vanilla <script>.R <folder with the data> <file to write>

arguments <- commandArgs(trailingOnly = TRUE)

path_of <- function(frame) file.path(arguments[1], paste0(frame, ".csv"))

read_frame <- function(frame) read.csv(path_of(frame), check.names = FALSE, stringsAsFactors = TRUE)

# Coefficients, their covariance, log-likelihood and probabilities (rows by outcomes) of one fit.
as_case <- function(responses, terms, estimates, cov, log_likelihood, outcomes, probabilities, ...) {
  list(
    responses = responses, terms = terms, estimates = unname(estimates), std_errors = unname(sqrt(diag(cov))),
    cov = unname(cov), log_likelihood = jsonlite::unbox(as.numeric(log_likelihood)), outcomes = outcomes,
    probabilities = unname(probabilities), ...
  )
}

store <- function(cases, packages, frames) {
  versions <- c(list(R = paste(R.version$major, R.version$minor, sep = ".")),
                lapply(setNames(packages, packages), function(p) as.character(packageVersion(p))))
  out <- list(
    versions = lapply(versions, jsonlite::unbox),
    md5 = lapply(setNames(frames, frames), function(f) jsonlite::unbox(unname(tools::md5sum(path_of(f))))),
    cases = cases
  )
  writeLines(jsonlite::toJSON(out, digits = NA, pretty = TRUE), arguments[2])
}
