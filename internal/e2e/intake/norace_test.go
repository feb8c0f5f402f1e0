//go:build !race

package intake

const slack = 1
