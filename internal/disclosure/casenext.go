package disclosure

// CaseNext is what somebody has to do for a case that no arrow of its own
// takes further.
type CaseNext string

const (
	NextNothing CaseNext = ""        // it is over, or an arrow says what is next
	NextText    CaseNext = "text"    // its public text is not written
	NextGather  CaseNext = "gather"  // it is in no release
	NextRelease CaseNext = "release" // its release has to be brought further
)

// Next says which. The text comes first: a release cannot tell anybody of a
// case that has none.
func (c *Case) Next() CaseNext {
	if c.State != Accepted && c.State != Embargoed || c.Track == PublicFix || c.Track == Infrastructure {
		return NextNothing
	}
	x := c.Public
	switch {
	case blank(x.Title) || blank(x.Description) || blank(x.Remedy) && c.Track != Upstream:
		return NextText
	case c.Release == nil:
		return NextGather
	}
	return NextRelease
}
