package disclosure

import "strings"

// MailboxJSON is the body of POST /api/v1/mailbox. With the code alone it
// reads; everything else is one message, or asks for one file of a reply.
type MailboxJSON struct {
	Code       string     `json:"code"`
	Text       string     `json:"text,omitempty"` // words, or one armored message
	Files      []FileJSON `json:"files,omitempty"`
	Credit     *string    `json:"credit,omitempty"`      // "yes", "no", "undecided"; nil: not said
	CreditText string     `json:"credit_text,omitempty"` // exactly how
	Key        string     `json:"key,omitempty"`         // armored certificate that replies are encrypted to
	Withdraw   bool       `json:"withdraw,omitempty"`
	Reason     string     `json:"reason,omitempty"` // of withdrawing
	Item       string     `json:"item,omitempty"`   // a reply, of which one file is asked for
	File       *int       `json:"file,omitempty"`   // which of its files, from 0
}

// Wish is what was said about credit. ok: something was.
func (m *MailboxJSON) Wish() (wish CreditWish, ok bool) {
	if m.Credit == nil {
		return "", false
	}
	if *m.Credit == "undecided" {
		return CreditUnset, true
	}
	return CreditWish(*m.Credit), true
}

// Adds says whether anything is to be added, and not only read.
func (m *MailboxJSON) Adds() bool {
	_, wish := m.Wish()
	return strings.TrimSpace(m.Text) != "" || len(m.Files) > 0 || wish || m.Key != "" || m.Withdraw
}

// ParseMailboxJSON reads it as strictly as ParseReportJSON does.
func ParseMailboxJSON(b []byte) (*MailboxJSON, error) {
	var m MailboxJSON
	faults, err := readMembers(b, m.members())
	if err != nil {
		return nil, err
	}
	wish, said := m.Wish()
	as := strings.TrimSpace(m.CreditText)
	switch {
	case said && wish != CreditYes && wish != CreditNo && wish != CreditUnset:
		faults = faults.Add("credit", `Write "yes", "no" or "undecided" for credit, or leave it out.`)
	case said && wish == CreditYes && as == "":
		faults = faults.Add("credit_text", "Write exactly how you want to be named.")
	case as != "" && (!said || wish != CreditYes):
		faults = faults.Add("credit_text", `This goes with "credit": "yes".`)
	case Hidden(as):
		faults = faults.Add("credit_text", "This has to be one line without control or direction signs.")
	}
	if m.Reason != "" && !m.Withdraw {
		faults = faults.Add("reason", `This goes with "withdraw": true.`)
	}
	if (m.Item == "") != (m.File == nil) {
		faults = faults.Add("file", `A file is asked for with both "item" and "file".`)
	}
	if m.Item != "" && m.Adds() {
		faults = faults.Add("item", "Ask for a file in a request of its own.")
	}
	return &m, faults.Err()
}

func (m *MailboxJSON) members() map[string]member {
	const text = "This has to be a string."
	return map[string]member{
		"code": {&m.Code, text}, "text": {&m.Text, text}, "credit": {&m.Credit, text}, "credit_text": {&m.CreditText, text},
		"key": {&m.Key, text}, "reason": {&m.Reason, text}, "item": {&m.Item, text},
		"withdraw": {&m.Withdraw, "This has to be true or false."},
		"file":     {&m.File, "This has to be a number."},
		"files":    {&m.Files, filesWant},
	}
}
