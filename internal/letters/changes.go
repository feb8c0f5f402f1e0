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

// Received is what a signed receipt attests. File names are not part of it.
type Received struct {
	Project  disclosure.Project
	Received time.Time
	Way      string // "by the form"
	SHA256   string
	Files    []ReceivedFile
}

// ReceivedFile is one file that came along.
type ReceivedFile struct {
	Place  int // from 1, in the order in which they came
	Size   int64
	SHA256 string
}

// SignedReceipt writes what the team signs; the signature is the caller's.
func (l *Letters) SignedReceipt(lang string, r Received) (Letter, error) {
	return l.render(lang, "signed-receipt", r)
}

// MailboxNews is what an address that came with a report is told: that the
// mailbox holds something new, and no word of what or about what.
func (l *Letters) MailboxNews(lang string, a Answer) (Letter, error) {
	return l.render(lang, disclosure.LetterNews, a)
}
