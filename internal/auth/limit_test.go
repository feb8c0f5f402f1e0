package auth_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"postern/internal/auth"
)

// Five tries at once, then one after each wait: 30 s, 1, 2, 4, ... minutes, at
// most an hour.
func TestLimiterGrows(t *testing.T) {
	l := auth.NewLimiter(auth.SignInLimits)
	now := noon
	for i := range 5 {
		if wait, ok := l.Try("ada", now); !ok {
			t.Fatalf("try %d: refused for %v", i+1, wait)
		}
	}
	for _, want := range []time.Duration{
		30 * time.Second, time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute,
		16 * time.Minute, 32 * time.Minute, time.Hour, time.Hour, time.Hour,
	} {
		if wait, ok := l.Try("ada", now); ok || wait != want {
			t.Errorf("try at once: %v, %v, want to wait %v", wait, ok, want)
		}
		// Knocking in between does not make it longer.
		if wait, ok := l.Try("ada", now.Add(want-1)); ok || wait != 1 {
			t.Errorf("try just before the end: %v, %v, want to wait 1ns", wait, ok)
		}
		now = now.Add(want)
		if wait, ok := l.Try("ada", now); !ok {
			t.Errorf("try after the wait: refused for %v", wait)
		}
	}
	if _, ok := l.Try("bob", now); !ok {
		t.Error("another key waits too")
	}
	l.Succeeded("ada")
	if wait, ok := l.Try("ada", now); !ok {
		t.Errorf("try after a success: refused for %v", wait)
	}
}

func TestLimiterForgets(t *testing.T) {
	l := auth.NewLimiter(auth.SignInLimits)
	for range 5 {
		l.Try("ada", noon)
	}
	tomorrow := noon.Add(24 * time.Hour)
	for i := range 5 {
		if wait, ok := l.Try("ada", tomorrow); !ok {
			t.Fatalf("try %d a day later: refused for %v", i+1, wait)
		}
	}
	if _, ok := l.Try("ada", tomorrow); ok {
		t.Error("the sixth try a day later was let through")
	}
}

// T21: 10,000 tries in a day, one every eight seconds.
func TestLimiterAgainstGuessing(t *testing.T) {
	l := auth.NewLimiter(auth.SignInLimits)
	through := 0
	for i := range 10_000 {
		if _, ok := l.Try("ada", noon.Add(time.Duration(i)*8640*time.Millisecond)); ok {
			through++
		}
	}
	if through < 20 || through > 40 {
		t.Errorf("%d of 10,000 tries in a day were let through, want about 30", through)
	}
}

// Many at the same moment count one by one. Run with -race.
func TestLimiterAtTheSameTime(t *testing.T) {
	l := auth.NewLimiter(auth.SignInLimits)
	var group sync.WaitGroup
	var mu sync.Mutex
	through := 0
	for range 100 {
		group.Go(func() {
			if _, ok := l.Try("ada", noon); ok {
				mu.Lock()
				through++
				mu.Unlock()
			}
		})
	}
	group.Wait()
	if through != 5 {
		t.Errorf("%d of 100 tries at once were let through, want 5", through)
	}
}

// A flood of invented keys neither fills the memory nor frees a locked one.
func TestLimiterUnderFlood(t *testing.T) {
	limits := auth.SignInLimits
	limits.Keys = 50
	l := auth.NewLimiter(limits)
	for range 5 {
		l.Try("ada", noon)
	}
	for i := range 1000 {
		if _, ok := l.Try(fmt.Sprint("invented ", i), noon); !ok {
			t.Fatalf("a new key was refused")
		}
	}
	if _, ok := l.Try("ada", noon); ok {
		t.Error("a flood of other keys freed a locked one")
	}
	if got := l.Len(); got > 50 {
		t.Errorf("the limiter remembers %d keys, want at most 50", got)
	}
}
