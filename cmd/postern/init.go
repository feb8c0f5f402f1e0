package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"postern/internal/instance"
	"postern/internal/policy"
	"postern/internal/vault"
)

type initCmd struct {
	place  `embed:""`
	phrase `embed:""`

	Policy  string `placeholder:"FILE" help:"Policy file; without it name and contact are asked and a minimal policy is made."`
	Project string `placeholder:"NAME" help:"Name of the project, for the minimal policy."`
	Contact string `placeholder:"ADDRESS" help:"Address of the security team, for the minimal policy."`
	Holder  string `placeholder:"NAME" help:"Who knows the passphrase; default: the first member."`
	Name    string `placeholder:"NAME" help:"Name of the first member."`
	Address string `placeholder:"ADDRESS" help:"Mail address of the first member."`

	RecoveryFile string `placeholder:"FILE" help:"For scripts: write the recovery phrase to this new file, for its owner alone, instead of having it typed. Print it, keep it elsewhere, and delete the file."`

	Revocation string `placeholder:"FILE" help:"Where to write the team key's revocation certificate; default: revocation.asc in --data."`
}

// Run asks everything first and stores it then.
func (i *initCmd) Run(ctx context.Context, con *console) error {
	conf, err := i.config()
	if err != nil {
		return err
	}
	conf.Log, conf.Progress = logger(con.errors, true), con.progress
	if err := instance.Ask(ctx, conf.Data, "status", nil, nil); !errors.Is(err, instance.ErrNotRunning) {
		return errors.New("a Postern runs on this data folder already")
	}
	o, err := instance.Open(ctx, conf)
	if err != nil {
		return err
	}
	defer o.Close()
	if o.DB.Vault() != nil {
		return errors.New("this database belongs to an instance already: to change it, use postern policy, key and member")
	}
	req, err := i.questions(con)
	if err != nil {
		return err
	}
	made, err := o.Commands.Setup(ctx, req)
	if err != nil {
		return err
	}
	file := i.Revocation
	if file == "" {
		file = filepath.Join(conf.Data, "revocation.asc")
	}
	if err := os.WriteFile(file, made.Revocation, 0o600); err != nil {
		return fmt.Errorf("the instance is made, but its key's revocation certificate was not written: %w", err)
	}
	fmt.Fprintf(con.out, `Postern is set up.

Team key       %s
Revocation     %s (move it off this machine)
First member   %s
               %s
               (one time, until %s; it works while postern serve runs and is unlocked)

%sNext: postern serve
`, made.Fingerprint, file, req.Member.Name, made.Link.URL, made.Link.Until.Format("2 January 2006"), i.recoveryNote())
	return nil
}

func (i *initCmd) recoveryNote() string {
	if i.RecoveryFile == "" {
		return ""
	}
	return "Recovery phrase " + i.RecoveryFile + " (opens every report: keep it elsewhere, and delete the file)\n\n"
}

func (i *initCmd) questions(con *console) (req instance.SetupRequest, err error) {
	if req.Policy, err = i.policy(con); err != nil {
		return req, err
	}
	if _, err := policy.Parse([]byte(req.Policy)); err != nil {
		return req, fmt.Errorf("the policy cannot be used:\n%w", err)
	}
	req.Member.Roles = []string{"triager", "releaser", "admin", "auditor"}
	if req.Member.Name, err = con.must("Name of the first member: ", i.Name); err != nil {
		return req, err
	}
	if req.Member.Address, err = con.must("Mail address of the first member: ", i.Address); err != nil {
		return req, err
	}
	if req.Holder = i.Holder; req.Holder == "" {
		req.Holder = req.Member.Name
	}
	if req.Passphrase, err = i.newPassphrase(con); err != nil {
		return req, err
	}
	req.Confirm = func(recovery string) error { return confirm(con, recovery) }
	if i.RecoveryFile != "" {
		req.Confirm = func(recovery string) error { return keepRecovery(i.RecoveryFile, recovery) }
	}
	return req, nil
}

func (i *initCmd) policy(con *console) (string, error) {
	if i.Policy != "" {
		b, err := os.ReadFile(i.Policy)
		if err != nil {
			return "", fmt.Errorf("read the policy: %w", err)
		}
		return string(b), nil
	}
	name, err := con.must("Name of the project: ", i.Project)
	if err != nil {
		return "", err
	}
	contact, err := con.must("Mail address of its security team: ", i.Contact)
	if err != nil {
		return "", err
	}
	return minimalPolicy(name, contact), nil
}

// minimalPolicy promises what the defaults promise.
func minimalPolicy(name, contact string) string {
	return fmt.Sprintf("[project]\nname = %s\n\n[contact]\naddress = %s\n", tomlString(name), tomlString(contact))
}

// tomlString writes a basic string of TOML 1.0.
func tomlString(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// newPassphrase takes the one given, or asks twice.
func (i *initCmd) newPassphrase(con *console) (string, error) {
	given, err := i.phrase.read()
	if err != nil || given != "" {
		return given, err
	}
	fmt.Fprintf(con.errors, "The passphrase opens every report. It needs at least %d characters.\n", vault.MinPassphrase)
	for range 3 {
		first, err := con.secret("Passphrase: ")
		if err != nil {
			return "", err
		}
		if len([]rune(first)) < vault.MinPassphrase {
			fmt.Fprintln(con.errors, "That is too short.")
			continue
		}
		again, err := con.secret("The same again: ")
		if err != nil {
			return "", err
		}
		if first == again {
			return first, nil
		}
		fmt.Fprintln(con.errors, "The two are not the same.")
	}
	return "", errors.New("no passphrase was chosen; nothing was stored")
}

// keepRecovery writes the phrase to a file that was not there before.
func keepRecovery(file, recovery string) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("write the recovery phrase; nothing was stored: %w", err)
	}
	_, err = f.WriteString(recovery + "\n")
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write the recovery phrase; nothing was stored: %w", err)
	}
	return nil
}

// confirm shows the recovery phrase once, and wants it typed.
func confirm(con *console, recovery string) error {
	fmt.Fprintf(con.out, "\nRecovery phrase, for the day when every passphrase is forgotten. It is shown this once; write it on paper:\n\n    %s\n\n", recovery)
	for range 3 {
		typed, err := con.ask("Type the recovery phrase: ")
		if err != nil {
			return err
		}
		if strings.EqualFold(strings.Join(strings.Fields(typed), " "), recovery) {
			return nil
		}
		fmt.Fprintln(con.errors, "That is not the phrase above.")
	}
	return errors.New("the recovery phrase was not typed; nothing was stored")
}
