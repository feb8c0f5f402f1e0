package auth_test

import (
	"crypto/sha256"
	"regexp"
	"testing"
	"time"

	"postern/internal/auth"
)

func TestSessionLive(t *testing.T) {
	for _, c := range []struct {
		name         string
		age, silence time.Duration
		want         bool
	}{
		{"new", 0, 0, true},
		{"just not idle", 12*time.Hour - 1, 12*time.Hour - 1, true},
		{"idle", 12 * time.Hour, 12 * time.Hour, false},
		{"used for a week", 7*24*time.Hour - 1, time.Minute, true},
		{"too old though used", 7 * 24 * time.Hour, 0, false},
		{"small step back in time", -30 * time.Second, -30 * time.Second, true},
		{"created in the future", -2 * time.Minute, 0, false},
		{"seen in the future", time.Hour, -2 * time.Minute, false},
	} {
		if got := auth.SessionLive(noon.Add(-c.age), noon.Add(-c.silence), noon); got != c.want {
			t.Errorf("SessionLive, %s = %v, want %v", c.name, got, c.want)
		}
	}
	if auth.SessionLive(time.Time{}, time.Time{}, noon) {
		t.Error("SessionLive of zero times = true")
	}
}

func TestSessionEndsAgreesWithSessionLive(t *testing.T) {
	for _, silence := range []time.Duration{0, time.Hour, 11 * time.Hour} {
		for _, age := range []time.Duration{12 * time.Hour, 3 * 24 * time.Hour, 7*24*time.Hour - time.Hour} {
			created, seen := noon.Add(-age), noon.Add(-silence)
			end := auth.SessionEnds(created, seen)
			if auth.SessionLive(created, seen, end) || !auth.SessionLive(created, seen, end.Add(-1)) {
				t.Errorf("SessionEnds(%v ago, %v ago) = %v, where SessionLive does not change", age, silence, end)
			}
		}
	}
}

func TestStepUpLive(t *testing.T) {
	for age, want := range map[time.Duration]bool{
		0: true, 10*time.Minute - 1: true, 10 * time.Minute: false, -30 * time.Second: true, -2 * time.Minute: false,
	} {
		if got := auth.StepUpLive(noon.Add(-age), noon); got != want {
			t.Errorf("StepUpLive after %v = %v, want %v", age, got, want)
		}
	}
	if auth.StepUpLive(time.Time{}, time.Time{}) {
		t.Error("StepUpLive of the zero time = true")
	}
}

func TestNewToken(t *testing.T) {
	secret, hash := auth.NewToken()
	other, _ := auth.NewToken()
	if !regexp.MustCompile(`^[a-z2-7]{32}$`).MatchString(secret) || secret == other {
		t.Errorf("NewToken = %d characters of another kind, or the same twice", len(secret))
	}
	if hash != auth.HashToken(secret) || hash != sha256.Sum256([]byte(secret)) || hash == auth.HashToken(other) {
		t.Error("NewToken's hash is not the SHA-256 of its text")
	}
}
