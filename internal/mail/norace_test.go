//go:build !race

package mail

const slack = 1
