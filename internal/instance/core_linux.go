package instance

import "syscall"

// noCoreDumps keeps keys from being written to a file when the program dies.
func noCoreDumps() {
	_ = syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{})
}
