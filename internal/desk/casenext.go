package desk

import (
	"postern/internal/disclosure"
	pages "postern/web/desk"
)

// caseNext is the way to what a case waits for, where no arrow of its own is
// the next step.
func caseNext(c *disclosure.Case, by disclosure.Caller) pages.CaseStep {
	step := pages.CaseStep{Do: "link"}
	switch c.Next() {
	case disclosure.NextText:
		step.Href, step.Label = pages.CasePath(c.Number)+"#edit-text", "Write the public text"
	case disclosure.NextGather:
		step.Href, step.Label, step.Hint = pages.PathReleases, "Gather into a release", "A releaser does this."
		if by.Can(disclosure.Releaser) {
			step.Hint = ""
		}
	case disclosure.NextRelease:
		step.Href, step.Label = pages.ReleasePath(c.Release.ID), "Go to the release"
		if c.Release.At.IsZero() {
			step.Hint = "It has no date yet."
		}
	default:
		return pages.CaseStep{}
	}
	return step
}
