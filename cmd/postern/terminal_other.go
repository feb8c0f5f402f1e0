//go:build !linux

package main

import "os"

func quietTerminal(*os.File) func() bool { return func() bool { return false } }
