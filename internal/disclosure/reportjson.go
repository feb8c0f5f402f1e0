package disclosure

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// ReportJSON is the body of POST /api/v1/reports when it is JSON. Only the
// description is required.
type ReportJSON struct {
	Description string            `json:"description"`
	Title       string            `json:"title,omitempty"`
	Versions    string            `json:"versions,omitempty"`
	Reproduce   string            `json:"reproduce,omitempty"`
	Impact      string            `json:"impact,omitempty"`
	Name        string            `json:"name,omitempty"`
	Address     string            `json:"address,omitempty"`
	Language    string            `json:"language,omitempty"`
	Key         string            `json:"key,omitempty"`    // the reporter's armored certificate
	Credit      CreditWish        `json:"credit,omitempty"` // "yes", "no"
	CreditText  string            `json:"credit_text,omitempty"`
	Answers     map[string]string `json:"answers,omitempty"` // by the policy's asks
	Files       []FileJSON        `json:"files,omitempty"`
}

// FileJSON is one file of a ReportJSON; Data is base64 on the wire.
type FileJSON struct {
	Name string `json:"name"`
	Type string `json:"type,omitempty"`
	Data []byte `json:"data"`
	Size int64  `json:"-"` // of Data, which ReadReportJSON does not keep
}

// ParseReportJSON reads a report strictly: unknown members, members of a wrong
// type, a missing description and text that is not UTF-8 are refused, all at
// once where more than one thing is wrong. Beside a *Refusal the report holds
// what could be read; it is nil when the whole is no JSON object.
func ParseReportJSON(b []byte) (*ReportJSON, error) {
	var r ReportJSON
	faults, err := readMembers(b, r.members())
	if err != nil {
		return nil, err
	}
	if strings.TrimSpace(r.Description) == "" {
		faults = faults.Add("description", "Describe what you found; one sentence is enough.")
	}
	for _, line := range []struct{ name, text string }{
		{"title", r.Title}, {"name", r.Name}, {"address", r.Address}, {"language", r.Language}, {"credit_text", r.CreditText},
	} {
		if Hidden(line.text) {
			faults = faults.Add(line.name, "This has to be one line without control or direction signs.")
		}
	}
	switch r.Credit {
	case CreditUnset, CreditYes, CreditNo:
	default:
		faults = faults.Add("credit", `Write "yes" or "no" for credit, or leave it out.`)
	}
	return &r, faults.Err()
}

type member struct {
	to   any
	want string
}

const filesWant = `This has to be an array of objects with "name", "data" in base64, and maybe "type".`

// readMembers fills what is known, and gathers what is wrong. Its error is that
// of a whole that is no JSON object.
func readMembers(b []byte, known map[string]member) (faults *Refusal, err error) {
	if !utf8.Valid(b) {
		return nil, Refuse("", "The JSON is not valid UTF-8.")
	}
	d := json.NewDecoder(bytes.NewReader(b))
	var members map[string]json.RawMessage
	if err := d.Decode(&members); err != nil || members == nil {
		return nil, Refuse("", "This is not one JSON object.")
	}
	if d.More() {
		return nil, Refuse("", "There is something behind the JSON object.")
	}
	for _, name := range twice(b) {
		faults = faults.Add(name, fmt.Sprintf("%.60q stands there twice, and only one of the two would be kept. Write it once.", name))
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		field, ok := known[name]
		if !ok {
			faults = faults.Add("", fmt.Sprintf("There is no member %.60q; the names are in the description of the API.", name))
			continue
		}
		member := json.NewDecoder(bytes.NewReader(members[name]))
		member.DisallowUnknownFields()
		if member.Decode(field.to) != nil {
			faults = faults.Add(name, field.want)
		}
	}
	return faults, nil
}

// twice names the members of b, which is JSON, that the same object has more
// than once, however deep; upper and lower case are the same to a reader.
func twice(b []byte) (names []string) {
	type object map[string]bool // nil: an array
	var stack []object
	var key bool // a name comes next
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	for {
		t, err := d.Token()
		if err != nil {
			return names
		}
		name, text := t.(string)
		if key && text {
			in, low := stack[len(stack)-1], strings.ToLower(name)
			if in[low] && !slices.Contains(names, name) && len(names) < 20 {
				names = append(names, name)
			}
			in[low], key = true, false
			continue
		}
		switch t {
		case json.Delim('{'):
			stack = append(stack, object{})
		case json.Delim('['):
			stack = append(stack, nil)
		case json.Delim('}'), json.Delim(']'):
			stack = stack[:len(stack)-1]
		}
		if len(stack) == 0 {
			return names // what is behind it is refused anyway
		}
		key = stack[len(stack)-1] != nil
	}
}

// members names what a report may hold, and where it goes.
func (r *ReportJSON) members() map[string]member {
	const text = "This has to be a string."
	return map[string]member{
		"description": {&r.Description, text}, "title": {&r.Title, text}, "versions": {&r.Versions, text}, "reproduce": {&r.Reproduce, text},
		"impact": {&r.Impact, text}, "name": {&r.Name, text}, "address": {&r.Address, text}, "language": {&r.Language, text},
		"key": {&r.Key, text}, "credit": {&r.Credit, text}, "credit_text": {&r.CreditText, text},
		"answers": {&r.Answers, "This has to be an object of strings."},
		"files":   {&r.Files, filesWant},
	}
}

// What a mailbox's owner may ask for beside writing; an Answer's Ask in an
// arrival of kind message.
const (
	AnswerCredit   = "credit"   // the header's Credit and CreditText
	AnswerKey      = "key"      // the header's Key
	AnswerWithdraw = "withdraw" // Text: the reason, may be empty
	AnswerInvite   = "invite"   // Text: the token of an invitation to a mailbox
)
