//go:build !linux

package instance

func noCoreDumps() {}
