package disclosure

import (
	"bytes"
	"encoding/json"
	"strconv"
	"time"
)

// Advisory is what the public reads about one case. It is stored plain, since
// it is public: it exists only from the commit that publishes it.
type Advisory struct {
	Name      string // LANTERN-2026-k7qd
	Version   int    // from 1; errata raise it
	Issue     Issue
	Versions  []Version
	Patches   []PatchBrief
	Published time.Time
	Updated   time.Time
	Withdrawn time.Time
	Release   ReleaseID
	Project   Project
}

// Document is a finished public file. A row there is public.
type Document struct {
	Path     string // "/advisories/LANTERN-2026-k7qd"; no leading slash: served by no route ("gate.json")
	Type     string // media type
	Bytes    []byte
	Signed   bool
	Rendered string    // program version that rendered it; older ones are rendered again
	Renew    time.Time // zero: never; else when work renews it (security.txt)
	Keep     bool      // the stored one stays, and Bytes is empty: what was published and is not made again
}

// Edition is the set of documents public from one commit on, and all that is
// needed to render it. It is given to render inside the transaction.
type Edition struct {
	Number      int64
	At          time.Time
	Policy      *Policy
	Roster      []string   // names of the members, where the policy wants them public
	Advisories  []Advisory // all public ones, newest first, those being published included
	Upcoming    []UpcomingText
	URL         string
	Certificate []byte // the team's, binary
	Instance    string
	Signed      map[string]Document // what is public and signed now, by path: it changes only with its content
	Publishing  []Advisory          // those that become public by this edition; empty for a site edition

	// Patch reads a patch of the release being published by its SHA-256. Nil:
	// a site edition, in which the patches stay as they were published.
	Patch func(sha256 string) ([]byte, error)
}

// UpcomingText is the frozen text of a sent pre-announcement, word for word.
type UpcomingText struct {
	Release ReleaseID
	SentAt  time.Time
	At      time.Time
	Subject string
	Text    string
}

// printable is the advisory without control characters other than line end and
// tab in any of its texts: whatever found its way into a case, publishing does
// not fail by it.
func (a Advisory) printable() Advisory {
	b, err := json.Marshal(a)
	if err != nil {
		return a
	}
	kept := withoutControls(b)
	if bytes.Equal(kept, b) {
		return a
	}
	var clean Advisory
	if json.Unmarshal(kept, &clean) != nil {
		return a
	}
	return clean
}

// withoutControls leaves the control characters out of the strings of a JSON
// text as json.Marshal writes it.
func withoutControls(b []byte) []byte {
	kept := make([]byte, 0, len(b))
	for i := 0; i < len(b); {
		n, drop := 1, false
		switch {
		case b[i] == '\\' && i+5 < len(b) && b[i+1] == 'u':
			c, err := strconv.ParseUint(string(b[i+2:i+6]), 16, 16)
			n, drop = 6, err == nil && (c < ' ' && c != '\n' && c != '\t' || c >= 0x7f && c < 0xa0)
		case b[i] == '\\' && i+1 < len(b):
			n, drop = 2, b[i+1] == 'b' || b[i+1] == 'f' || b[i+1] == 'r'
		case b[i] == 0x7f:
			drop = true
		case b[i] == 0xc2 && i+1 < len(b): // U+0080 to U+00BF
			n, drop = 2, b[i+1] < 0xa0
		}
		if !drop {
			kept = append(kept, b[i:i+n]...)
		}
		i += n
	}
	return kept
}
