package demo

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"postern/internal/disclosure"
)

// Sample is demo.json: all that opens the demo's doors. It is written for one
// user alone (0600); nothing in it protects anything but sample data.
type Sample struct {
	Gate         string        `json:"gate"`
	Desk         string        `json:"desk"`
	SignIn       string        `json:"sign_in,omitempty"` // once, as Ada, new at each start
	Members      []Member      `json:"members"`
	Distributors []Distributor `json:"distributors"`
	Reports      []Report      `json:"reports"`
	TeamKey      string        `json:"team_key"` // fingerprint
	Passphrase   string        `json:"passphrase"`
	Recovery     string        `json:"recovery"`

	Began  time.Time         `json:"began"`
	Done   []string          `json:"done"` // parts of the story
	Filled bool              `json:"filled"`
	IDs    map[string]string `json:"ids"` // of cases and releases, by their short names

	file string
}

// Member is one of the sample team.
type Member struct {
	Name     string              `json:"name"`
	Login    string              `json:"login"`
	Password string              `json:"password"`
	TOTP     string              `json:"totp"` // base32, for an authenticator
	Roles    string              `json:"roles"`
	ID       disclosure.MemberID `json:"id"`
}

// Distributor is one on the private list. Files lie beside demo.json.
type Distributor struct {
	Name        string                   `json:"name"`
	Address     string                   `json:"address"`
	Fingerprint string                   `json:"fingerprint"`
	SecretKey   string                   `json:"secret_key"` // for gpg --import
	ID          disclosure.DistributorID `json:"id"`
}

// Report is one that came through the gate, with what opens its mailbox.
type Report struct {
	Name   string `json:"name"`
	Case   int    `json:"case"`
	Code   string `json:"code"`
	Title  string `json:"title"`
	SHA256 string `json:"sha256"`
}

// Case and Release are ids of the sample by the story's short names: "session",
// "path", … ; empty for a name it does not have.
func (s *Sample) Case(name string) disclosure.CaseID { return disclosure.CaseID(s.IDs["case "+name]) }

// Release is the id of a release by its short name: "public", "told", "next",
// "draft", "off".
func (s *Sample) Release(name string) disclosure.ReleaseID {
	return disclosure.ReleaseID(s.IDs["release "+name])
}

// Member finds one by name.
func (s *Sample) Member(name string) Member {
	for _, m := range s.Members {
		if m.Name == name {
			return m
		}
	}
	return Member{}
}

// File is the path of demo.json.
func (s *Sample) File() string { return s.file }

// kept says in words what there is.
func (s *Sample) kept() string {
	cases, releases := 0, 0
	for name := range s.IDs {
		switch {
		case len(name) > 5 && name[:5] == "case ":
			cases++
		case len(name) > 8 && name[:8] == "release ":
			releases++
		}
	}
	return fmt.Sprintf("%d members, %d distributors, %d cases, %d releases", len(s.Members), len(s.Distributors), cases, releases)
}

// SetSignIn notes this start's one-time link and writes the file.
func (s *Sample) SetSignIn(link string) error {
	s.SignIn = link
	return s.save()
}

// load reads demo.json; a missing one is an empty sample.
func load(data string) (*Sample, error) {
	s := &Sample{file: filepath.Join(data, "demo.json")}
	b, err := os.ReadFile(s.file)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read what the last demo left: %w", err)
	}
	if err := json.Unmarshal(b, s); err != nil {
		return nil, fmt.Errorf("read %s: %w", s.file, err)
	}
	return s, nil
}

// save writes demo.json whole or not at all.
func (s *Sample) save() error {
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("write demo.json: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(s.file), 0o700); err != nil {
		return fmt.Errorf("write demo.json: %w", err)
	}
	temp := s.file + ".new"
	if err := os.WriteFile(temp, append(b, '\n'), 0o600); err != nil {
		return fmt.Errorf("write demo.json: %w", err)
	}
	if err := os.Rename(temp, s.file); err != nil {
		return fmt.Errorf("write demo.json: %w", err)
	}
	return nil
}

// once does a part unless an earlier start has finished it.
func (s *Sample) once(part string, do func() error) error {
	if slices.Contains(s.Done, part) {
		return nil
	}
	if err := do(); err != nil {
		return err
	}
	s.Done = append(s.Done, part)
	return s.save()
}

func (s *Sample) remember(name, id string) {
	if s.IDs == nil {
		s.IDs = map[string]string{}
	}
	s.IDs[name] = id
}
