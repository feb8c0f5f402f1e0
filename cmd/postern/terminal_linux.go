package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// quietTerminal turns the echo off. The function it returns turns it on again
// and reports whether it was off.
func quietTerminal(f *os.File) func() bool {
	none := func() bool { return false }
	if f == nil {
		return none
	}
	fd := int(f.Fd())
	was, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return none // not a terminal
	}
	quiet := *was
	quiet.Lflag &^= unix.ECHO
	if unix.IoctlSetTermios(fd, unix.TCSETS, &quiet) != nil {
		return none
	}
	return func() bool { return unix.IoctlSetTermios(fd, unix.TCSETS, was) == nil }
}
