package postgres

import (
	"time"

	"postern/internal/disclosure"
)

// InboxSQL is the query of one half of the inbox, for looking at its plan.
func InboxSQL(by disclosure.Caller, q InboxQuery, first bool, after time.Time, due bool) (string, []any) {
	at := inboxCursor{due: after, id: "m", number: 500}
	if first {
		at = inboxCursor{}
	} else if due {
		at.number = 0
	}
	return inboxSQL(by, q, at, due, 51, after)
}
