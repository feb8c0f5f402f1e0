//go:build !linux

package pgp

import "time"

// Spent is the time that went by: this system does not tell how much of it a
// thread had the processor.
func Spent() time.Duration { return time.Since(started) }

var started = time.Now()
