package disclosure

import "time"

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
	Publishing  []Advisory // those that become public by this edition; empty for a site edition
}

// UpcomingText is the frozen text of a sent pre-announcement, word for word.
type UpcomingText struct {
	Release ReleaseID
	SentAt  time.Time
	At      time.Time
	Subject string
	Text    string
}
