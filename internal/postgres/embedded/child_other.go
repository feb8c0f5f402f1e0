//go:build !linux

package embedded

import "syscall"

// dieWithParent has no counterpart outside Linux: a server left over by a killed program holds the lock until somebody stops it.
func dieWithParent(*syscall.SysProcAttr) {}
