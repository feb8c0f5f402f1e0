package disclosure

import "time"

// Brief is what an audience may know of a release; what it may not is absent,
// so that a template cannot print it. Made by Release.Brief alone.
type Brief struct {
	Audience   Audience
	Project    Project
	Contact    string // address
	Release    ReleaseID
	At         time.Time // zero when the audience may not know
	Zone       string
	Count      int      // of issues
	Severities []string // one per issue, policy's levels, highest first; empty: scheme none
	Issues     []Issue  // empty ahead of the day for the public
	Versions   []Version
	Patches    []PatchBrief
	Sharing    string // what may be shared, private audiences
	URL        string // of the gate, without trailing slash; set by the caller of Release.Brief
	Urgent     bool
	Reason     string // never filled for the public
}

// Issue is one case as an audience may read it.
type Issue struct {
	PublicName string
	CVE        string
	Text       Text
	Severity   Severity
	Class      string
	Affected   []Affected // only supported series
	Credits    []string   // by consent
}

// PatchBrief is a patch as the signed text names it.
type PatchBrief struct {
	Name   string
	Series string
	Size   int64
	SHA256 string
	Path   string // of the public document, in an advisory alone; empty: there is none
}
