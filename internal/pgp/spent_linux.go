package pgp

import (
	"syscall"
	"time"
)

// Spent is the processor time the calling thread has used so far. Two readings
// are worth comparing only while the goroutine is locked to its thread. On
// systems that do not tell, it is the time that went by.
func Spent() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_THREAD, &u); err != nil {
		return time.Since(started)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

var started = time.Now()
