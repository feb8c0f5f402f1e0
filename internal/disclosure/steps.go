package disclosure

// CaseStep is an arrow a caller could take now.
type CaseStep struct {
	To          CaseState
	Label       string  // of the button
	Recommended bool    // the usual next one; at most one is
	Verdict     bool    // takes a verdict: use Close
	Faults      []Fault // what still keeps it from being taken; empty: it can be
}

// ReleaseStep is a step a caller could take now.
type ReleaseStep struct {
	To          ReleaseState
	Name        string // "plan", "begin", "publish", "call-off"
	Label       string
	Recommended bool
	Faults      []Fault
}

// Preflight says what is about to be done.
type Preflight string

const (
	ToFreeze  Preflight = "freeze"
	ToSend    Preflight = "send"
	ToPublish Preflight = "publish"
)

// Facts are what a preflight must be told, since a release does not hold it.
type Facts struct {
	Recipients []Recipient // of the audience about to be told, as they stand now
	Unusable   []Fault     // each unusable key; Field "distributors/<id>"
}
