# Times R surveillance on counts like those of detector_cases.py and prints, for each detector,
# its name, a tab, and milliseconds per (series, time point); NA where it failed.
suppressMessages(library(surveillance))
set.seed(2013)

weekly <- function(series, weeks = 320) {
  season <- 0.4 * cos(2 * pi * seq_len(weeks) / 52)
  sapply(rnorm(series, 1.5, 1.2), function(level) {
    rnbinom(weeks, size = exp(level + season), prob = 0.5)
  })
}
weeks <- function(series) sts(weekly(series), frequency = 52, start = c(2000, 1))
days <- function(series, n) {
  sts(matrix(rpois(series * n, 6), n), frequency = 365, start = c(2000, 1))
}

report <- function(name, series, points, work) {
  taken <- tryCatch(system.time(work())[["user.self"]], error = function(problem) {
    message(name, ": ", conditionMessage(problem))
    NA
  })
  cat(name, "\t", format(1000 * taken / (series * points), digits = 6), "\n", sep = "")
}

year <- 269:320
ten <- weeks(10)
flexible <- function(method) {
  list(
    range = year, b = 5, w = 3, noPeriods = 10, pastWeeksNotIncluded = 26, trend = TRUE,
    reweight = TRUE, weightsThreshold = 2.58, alpha = 0.05, limit54 = c(5, 4),
    thresholdMethod = method
  )
}
report("farrington_flexible", 10, 52, function() farringtonFlexible(ten, flexible("delta")))
report("farrington_flexible muan", 10, 52, function() farringtonFlexible(ten, flexible("muan")))
report("farrington", 10, 52, function() farrington(ten, list(range = year, b = 5, w = 3)))
report("glr_nb", 10, 52, function() {
  glrnb(ten, list(range = year, c.ARL = 5, mu0 = list(S = 1), alpha = NULL, ret = "value"))
})
report("outbreak_p", 10, 52, function() outbreakP(ten, list(range = year, k = 100, ret = "value")))

panel <- days(1000, 60)
for (method in c("C1", "C2", "C3")) {
  report(paste("ears", method), 1000, 48, function() {
    earsC(panel, list(method = method, range = 13:60))
  })
}
report("ears C1, latest day", 1000, 1, function() {
  earsC(panel, list(method = "C1", range = 60:60))
})
