//go:build race

package mail

// slack is how much slower everything is under the race detector.
const slack = 5
