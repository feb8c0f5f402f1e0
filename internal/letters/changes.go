package letters

import (
	"time"

	"postern/internal/disclosure"
)

// Change tells an audience that what it was told of the hour holds no more.
type Change struct {
	disclosure.Brief
	Was time.Time // the hour it was told before
}

// Moved writes that the hour is another one now.
func (l *Letters) Moved(lang string, c Change) (Letter, error) { return l.render(lang, "moved", c) }

// CalledOff writes that the release does not come.
func (l *Letters) CalledOff(lang string, c Change) (Letter, error) {
	return l.render(lang, "called-off", c)
}
