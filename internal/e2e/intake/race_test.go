//go:build race

package intake

// slack is how much slower the race detector makes what only computes.
const slack = 10
