package disclosure

import "slices"

// ClearAnswer is whether a text may be mailed to somebody of whom we have
// neither mailbox nor key.
type ClearAnswer string

const (
	ClearMay   ClearAnswer = ""      // it may
	ClearNever ClearAnswer = "never" // the policy lets nothing travel unencrypted
	ClearSafe  ClearAnswer = "safe"  // only letters without detail, word for word
	ClearAsk   ClearAnswer = "ask"   // only after a member was asked about this very text
)

// LetterNews is the name of the letter that says no more than that something
// new is in a mailbox.
const LetterNews = "mailbox-news"

// InClear decides for every mail to a reporter or an applicant, whatever it
// is: answers, letters, and notices of a release. letter is the template's
// name where the text is its own word for word, else empty; asked says that a
// member was asked about this one text, and that is on record.
func (p *Policy) InClear(letter string, asked bool) ClearAnswer {
	r := p.orEmpty().Reporter
	switch {
	case r.ClearMail != "safe" && r.ClearMail != "ask":
		return ClearNever
	case letter != "" && slices.Contains(r.Safe, letter):
		return ClearMay
	case r.ClearMail == "safe":
		return ClearSafe
	case !asked:
		return ClearAsk
	}
	return ClearMay
}

// ByMail reports whether a notice to reporters goes to this one by mail: not
// to who has a mailbox and reads it there, nor to who withdrew, and in clear
// only where the policy lets this text travel so.
func (r Reporter) ByMail(p *Policy) bool {
	switch {
	case r.Mailbox != "" || r.Address == "" || !r.Withdrawn.IsZero():
		return false
	case len(r.Key) > 0:
		return true
	}
	// No letter: a notice names the project's plans. Nobody was asked: a
	// notice is approved for all its readers at once.
	return p.InClear("", false) == ClearMay
}

// Untold are the reporters whom a notice to reporters cannot reach: neither
// mailbox nor key, and the policy does not let it travel in clear. A member
// has to find them a way.
func (r *Release) Untold() []Untold {
	var list []Untold
	for _, c := range r.Cases {
		for _, rep := range c.Reporters {
			if rep.Withdrawn.IsZero() && rep.Mailbox == "" && !rep.ByMail(r.Policy) {
				list = append(list, Untold{Case: c.Number, Name: rep.Label()})
			}
		}
	}
	return list
}

// Untold is one reporter whom no notice reaches.
type Untold struct {
	Case int
	Name string
}
