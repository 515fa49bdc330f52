"""The engine of the multinomial logit: problems as arrays, their solution, and derivatives and covariances there."""
