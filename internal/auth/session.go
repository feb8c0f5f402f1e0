package auth

import "time"

const (
	// SessionIdle is how long a session lives without a request.
	SessionIdle = 12 * time.Hour
	// SessionLife is how long a session lives at most.
	SessionLife = 7 * 24 * time.Hour
	// StepUpLife is how long a second proof of identity allows sending and
	// publishing.
	StepUpLife = 10 * time.Minute

	// A time that lies further ahead than this was not noted by the wall time
	// that now comes from: the rule fails closed.
	skew = time.Minute
)

// SessionLive reports whether a session still counts at now.
func SessionLive(created, lastSeen, now time.Time) bool {
	return within(created, SessionLife, now) && within(lastSeen, SessionIdle, now)
}

// SessionEnds returns the moment the session ends if nothing more happens.
func SessionEnds(created, lastSeen time.Time) time.Time {
	idle, life := lastSeen.Add(SessionIdle), created.Add(SessionLife)
	if idle.Before(life) {
		return idle
	}
	return life
}

// StepUpLive reports whether a step-up made at verified still counts at now.
// The zero time never does.
func StepUpLive(verified, now time.Time) bool {
	return !verified.IsZero() && within(verified, StepUpLife, now)
}

func within(start time.Time, life time.Duration, now time.Time) bool {
	age := now.Sub(start)
	return age >= -skew && age < life
}
