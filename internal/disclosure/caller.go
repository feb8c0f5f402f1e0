package disclosure

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Roles is a set of what a member may do.
type Roles uint8

const (
	Triager  Roles = 1 << iota // opens cases, answers, decides
	Releaser                   // signs, sends, publishes
	Admin                      // members, policy, keys, distributors
	Auditor                    // reads the log, not the cases

	system Roles = 1 << 7 // work, never a member
)

var roleNames = []struct {
	role Roles
	name string
}{{Triager, "triager"}, {Releaser, "releaser"}, {Admin, "admin"}, {Auditor, "auditor"}}

// Has reports whether every role of want is in r.
func (r Roles) Has(want Roles) bool { return r&want == want }

// Names lists the roles in a fixed order, as stored and as shown.
func (r Roles) Names() []string {
	var names []string
	for _, x := range roleNames {
		if r.Has(x.role) {
			names = append(names, x.name)
		}
	}
	return names
}

func (r Roles) String() string {
	if r.Has(system) {
		return "work"
	}
	return strings.Join(r.Names(), ", ")
}

// ParseRoles reads role names; it names every unknown one.
func ParseRoles(names []string) (Roles, error) {
	var r Roles
	var errs []error
next:
	for _, n := range names {
		n = strings.TrimSpace(n)
		if n == "" {
			continue
		}
		for _, x := range roleNames {
			if x.name == n {
				r |= x.role
				continue next
			}
		}
		errs = append(errs, fmt.Errorf("no role is called %q; the roles are triager, releaser, admin, auditor", n))
	}
	return r, errors.Join(errs...)
}

// StepUpLasts is how long after a fresh second factor a member may send and publish.
const StepUpLasts = 10 * time.Minute

// Caller is who asks. Every database method takes one.
type Caller struct {
	Member   MemberID
	Name     string
	Roles    Roles
	Verified time.Time // last step-up, wall time; zero: none in this session
}

// System is work acting without a person; name says which part of it.
func System(name string) Caller { return Caller{Name: name, Roles: system} }

// IsSystem reports whether no person stands behind the call.
func (c Caller) IsSystem() bool { return c.Roles.Has(system) }

// Can reports whether c holds the role, or is work.
func (c Caller) Can(role Roles) bool { return c.IsSystem() || c.Roles.Has(role) }

// SteppedUp reports whether the last step-up is recent enough at wall, which
// is wall time: a demo's moved time does not age a second factor.
func (c Caller) SteppedUp(wall time.Time) bool {
	return !c.Verified.IsZero() && wall.Sub(c.Verified) < StepUpLasts && !wall.Before(c.Verified.Add(-time.Minute))
}
