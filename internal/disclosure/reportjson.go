package disclosure

import (
	"bytes"
	"encoding/json"
	"fmt"
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
}

// ParseReportJSON reads a report strictly: unknown members, a missing
// description and text that is not UTF-8 are refused, all at once where more
// than one thing is wrong.
func ParseReportJSON(b []byte) (*ReportJSON, error) {
	if !utf8.Valid(b) {
		return nil, Refuse("", "The JSON is not valid UTF-8.")
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	var r ReportJSON
	if err := d.Decode(&r); err != nil {
		return nil, Refuse("", fmt.Sprintf("The JSON cannot be read: %s.", strings.TrimPrefix(err.Error(), "json: ")))
	}
	if d.More() {
		return nil, Refuse("", "There is something behind the JSON object.")
	}
	var faults *Refusal
	if strings.TrimSpace(r.Description) == "" {
		faults = faults.Add("description", "Describe what you found; one sentence is enough.")
	}
	switch r.Credit {
	case CreditUnset, CreditYes, CreditNo:
	default:
		faults = faults.Add("credit", `Write "yes" or "no" for credit, or leave it out.`)
	}
	return &r, faults.Err()
}

// What a mailbox's owner may ask for beside writing; an Answer's Ask in an
// arrival of kind message.
const (
	AnswerCredit   = "credit"   // the header's Credit and CreditText
	AnswerKey      = "key"      // the header's Key
	AnswerWithdraw = "withdraw" // Text: the reason, may be empty
)
