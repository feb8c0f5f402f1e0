package disclosure

import (
	"errors"
	"strings"
)

var (
	// ErrNotFound also stands for "exists, but not for this caller".
	ErrNotFound = errors.New("not found")
	// ErrForbidden: the caller sees the thing but lacks the role for the step.
	ErrForbidden = errors.New("your roles do not allow this")
	// ErrStepUp: the step needs a fresh second factor.
	ErrStepUp = errors.New("confirm with your second factor first")
	// ErrStale: somebody else changed the thing since it was shown.
	ErrStale = errors.New("somebody changed this meanwhile; look at it again, then repeat the step")
	// ErrHeld: the instance sends and publishes nothing until a member lets go.
	ErrHeld = errors.New("the instance is held: nothing is sent or published until a member lets go")
)

// Fault is one thing that keeps a step from being taken. Field names the form
// field or the part of a release it is about; empty means the whole.
type Fault struct {
	Field string
	Text  string // one sentence: what is wrong and what to do
}

// Refusal says all that is wrong at once. It is the answer to a step a guard
// does not allow, and to input a rule does not accept.
type Refusal struct{ Faults []Fault }

func (r *Refusal) Error() string {
	texts := make([]string, len(r.Faults))
	for i, f := range r.Faults {
		texts[i] = f.Text
	}
	return strings.Join(texts, " ")
}

// Add notes one more fault; r may be nil.
func (r *Refusal) Add(field, text string) *Refusal {
	if r == nil {
		r = new(Refusal)
	}
	r.Faults = append(r.Faults, Fault{field, text})
	return r
}

// Err is nil when nothing was added.
func (r *Refusal) Err() error {
	if r == nil || len(r.Faults) == 0 {
		return nil
	}
	return r
}

// Refuse makes a refusal of one sentence.
func Refuse(field, text string) error { return (*Refusal)(nil).Add(field, text) }
