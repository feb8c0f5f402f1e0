package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"path/filepath"
	"postern/internal/doctor"
	"postern/internal/instance"
	"postern/internal/policy"
	"postern/internal/postgres"
	"postern/internal/postgres/embedded"
)

type unlockCmd struct {
	place  `embed:""`
	phrase `embed:""`
}

func (u *unlockCmd) Run(ctx context.Context, con *console) error {
	var now instance.Status
	if err := instance.Ask(ctx, u.Data, "status", nil, &now); err != nil {
		return err
	}
	if now.Unlocked {
		fmt.Fprintln(con.out, "The vault is unlocked already.")
		return nil
	}
	secret, err := u.phrase.read()
	if err == nil && secret == "" {
		secret, err = con.secret("Passphrase: ")
	}
	if err != nil {
		return err
	}
	if err := instance.Ask(ctx, u.Data, "unlock", instance.Secret{Secret: secret}, &now); err != nil {
		return err
	}
	fmt.Fprintf(con.out, "The vault is unlocked. Arrivals waiting: %d.\n", now.Waiting)
	for _, h := range now.Held {
		fmt.Fprintln(con.out, "Held:", h)
	}
	return nil
}

type lockCmd struct {
	place `embed:""`
}

func (l *lockCmd) Run(ctx context.Context, con *console) error {
	var now instance.Status
	if err := instance.Ask(ctx, l.Data, "lock", nil, &now); err != nil {
		return err
	}
	fmt.Fprintln(con.out, "The vault is locked.")
	return nil
}

type memberCmd struct {
	Invite  memberInviteCmd  `cmd:"" help:"Invite somebody; prints a one-time link."`
	List    memberListCmd    `cmd:"" help:"List everybody."`
	Disable memberDisableCmd `cmd:"" help:"End somebody's sessions, remove their slots of the vault, and let them in no more."`
	Enable  memberEnableCmd  `cmd:"" help:"Let a disabled member in again."`
	Reset   memberResetCmd   `cmd:"" help:"Take password and second factor away; prints a one-time link to set new ones."`
}

type memberInviteCmd struct {
	place   `embed:""`
	Name    string   `arg:"" help:"The member's name."`
	Address string   `arg:"" help:"Their mail address, which is also their login."`
	Role    []string `required:"" help:"What they may do: triager, releaser, admin, auditor. May be repeated."`
}

func (m *memberInviteCmd) Run(ctx context.Context, con *console) error {
	var link instance.Link
	if err := operate(ctx, con, m.place, "member.invite", instance.Invite{Name: m.Name, Address: m.Address, Roles: m.Role}, &link, nil); err != nil {
		return err
	}
	return con.link(link)
}

func (c *console) link(l instance.Link) error {
	_, err := fmt.Fprintf(c.out, "%s\nOne time, until %s.\n", l.URL, l.Until.Format("2 January 2006, 15:04 UTC"))
	return err
}

type memberListCmd struct {
	place `embed:""`
}

func (m *memberListCmd) Run(ctx context.Context, con *console) error {
	var people []instance.Person
	if err := operate(ctx, con, m.place, "member.list", nil, &people, nil); err != nil {
		return err
	}
	w := tabwriter.NewWriter(con.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tADDRESS\tROLES\tSTATE")
	for _, p := range people {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", plain(p.Name), plain(p.Address), p.Roles, p.State)
	}
	return w.Flush()
}

// plain keeps a terminal from obeying what somebody typed.
func plain(s string) string {
	out := []rune(s)
	for i, r := range out {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			out[i] = '?'
		}
	}
	return string(out)
}

type memberDisableCmd struct {
	place `embed:""`
	Who   string `arg:"" help:"Address, or name."`
}

func (m *memberDisableCmd) Run(ctx context.Context, con *console) error {
	return changeMember(ctx, con, m.place, "member.disable", m.Who)
}

type memberEnableCmd struct {
	place `embed:""`
	Who   string `arg:"" help:"Address, or name."`
}

func (m *memberEnableCmd) Run(ctx context.Context, con *console) error {
	return changeMember(ctx, con, m.place, "member.enable", m.Who)
}

func changeMember(ctx context.Context, con *console, p place, command, who string) error {
	var got instance.Person
	if err := operate(ctx, con, p, command, instance.Invite{Address: who}, &got, nil); err != nil {
		return err
	}
	_, err := fmt.Fprintf(con.out, "%s (%s) is %s.\n", plain(got.Name), plain(got.Address), got.State)
	return err
}

type memberResetCmd struct {
	place `embed:""`
	Who   string `arg:"" help:"Address, or name."`
}

func (m *memberResetCmd) Run(ctx context.Context, con *console) error {
	var link instance.Link
	if err := operate(ctx, con, m.place, "member.reset", instance.Invite{Address: m.Who}, &link, nil); err != nil {
		return err
	}
	return con.link(link)
}

type policyCmd struct {
	Check   policyCheckCmd   `cmd:"" help:"Say everything that is wrong with a policy file."`
	Apply   policyApplyCmd   `cmd:"" help:"Put a policy file in force and render the site again."`
	Show    policyShowCmd    `cmd:"" help:"Print the policy in force."`
	Presets policyPresetsCmd `cmd:"" help:"List the policies that come along, or print one."`
}

type policyCheckCmd struct {
	File string `arg:"" help:"The file; - is standard input."`
}

func (p *policyCheckCmd) Run(con *console) error {
	text, err := con.readFile(p.File)
	if err != nil {
		return err
	}
	got, err := policy.Parse(text)
	if err != nil {
		return con.faults(p.File, err)
	}
	fmt.Fprintf(con.out, "%s is good: a policy of %s.\n", p.File, plain(got.Project.Name))
	return nil
}

func (c *console) readFile(name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(io.LimitReader(c.in, policy.MaxBytes+1))
	}
	return os.ReadFile(name)
}

// faults prints one a line, as editors know them.
func (c *console) faults(file string, err error) error {
	var faults policy.Faults
	if !errors.As(err, &faults) {
		return err
	}
	for _, f := range faults {
		fmt.Fprintf(c.errors, "%s:%d: %s\n", file, f.Line, f.Text)
	}
	return exit(1)
}

type policyApplyCmd struct {
	place  `embed:""`
	phrase `embed:""`
	File   string `arg:"" help:"The file; - is standard input."`
}

func (p *policyApplyCmd) Run(ctx context.Context, con *console) error {
	text, err := con.readFile(p.File)
	if err != nil {
		return err
	}
	if _, err := policy.Parse(text); err != nil {
		return con.faults(p.File, err)
	}
	var unlock *phrase
	if given, err := p.phrase.read(); err != nil {
		return err
	} else if given != "" {
		unlock = &p.phrase // signed documents can be renewed as well
	}
	var got instance.Applied
	if err := operate(ctx, con, p.place, "policy.apply", instance.PolicyText{TOML: string(text)}, &got, unlock); err != nil {
		return err
	}
	fmt.Fprintf(con.out, "Policy %d is in force, and the site is rendered.\n", got.Version)
	return nil
}

type policyShowCmd struct {
	place     `embed:""`
	Effective bool `help:"With every default spelled out."`
}

func (p *policyShowCmd) Run(ctx context.Context, con *console) error {
	var got instance.Applied
	if err := operate(ctx, con, p.place, "policy.show", nil, &got, nil); err != nil {
		return err
	}
	if p.Effective {
		parsed, err := policy.Parse([]byte(got.TOML))
		if err != nil {
			return err
		}
		got.TOML = policy.Format(parsed)
	}
	_, err := io.WriteString(con.out, got.TOML)
	return err
}

type policyPresetsCmd struct {
	Name string `arg:"" optional:"" help:"Print this one."`
}

func (p *policyPresetsCmd) Run(con *console) error {
	if p.Name == "" {
		for _, name := range policy.PresetNames {
			fmt.Fprintln(con.out, name)
		}
		return nil
	}
	text, err := policy.Preset(p.Name)
	if err != nil {
		return err
	}
	_, err = io.WriteString(con.out, text)
	return err
}

type logCmd struct {
	Verify logVerifyCmd `cmd:"" help:"Check that no row of the log was changed, taken out or put in."`
}

type logVerifyCmd struct {
	place `embed:""`
}

func (l *logVerifyCmd) Run(ctx context.Context, con *console) error {
	var got postgres.LogCheck
	if err := operate(ctx, con, l.place, "log.verify", nil, &got, nil); err != nil {
		return err
	}
	if got.Broken != 0 || got.Why != "" {
		fmt.Fprintf(con.out, "The log is broken at row %d: %s\n", got.Broken, got.Why)
		return exit(1)
	}
	fmt.Fprintf(con.out, "The log is whole: %d rows, each following from the one before.\n", got.Rows)
	return nil
}

type doctorCmd struct {
	place   `embed:""`
	outside `embed:""`
}

// Run ends with 0, 1 for warnings, 2 for faults.
func (d *doctorCmd) Run(ctx context.Context, con *console) error {
	var found []doctor.Finding
	err := instance.Ask(ctx, d.Data, "doctor", nil, &found)
	if errors.Is(err, instance.ErrNotRunning) {
		found, err = d.offline(ctx, con)
	}
	if err != nil {
		return err
	}
	for _, f := range found {
		fmt.Fprintf(con.out, "%-4s  %s\n", f.Severity, plain(f.What))
		if f.Why != "" {
			fmt.Fprintf(con.out, "      %s\n", plain(f.Why))
		}
		if f.Mend != "" {
			fmt.Fprintf(con.out, "      → %s\n", plain(f.Mend))
		}
	}
	if code := doctor.ExitCode(found); code != 0 {
		return exit(code)
	}
	return nil
}

func (d *doctorCmd) offline(ctx context.Context, con *console) ([]doctor.Finding, error) {
	conf, err := d.place.config()
	if err != nil {
		return nil, err
	}
	if err := d.outside.apply(&conf); err != nil {
		return nil, err
	}
	conf.Log = logger(con.errors, true)
	found := []doctor.Finding{{Severity: doctor.Warn, What: "No Postern runs on " + conf.Data + ".", Why: "No report can come in.", Mend: "postern serve"}}
	o, openErr := instance.Open(ctx, conf)
	if openErr != nil {
		return append(found, instance.Examine(ctx, conf, nil, openErr)...), nil
	}
	defer o.Close()
	return append(found, instance.Examine(ctx, conf, o.DB, nil)...), nil
}

type migrateCmd struct {
	place        `embed:""`
	OwnerURL     string `name:"owner-database-url" env:"POSTERN_OWNER_DATABASE_URL" placeholder:"URL" help:"The owner's login; without it the private cluster is migrated."`
	OwnerURLFile string `name:"owner-database-url-file" env:"POSTERN_OWNER_DATABASE_URL_FILE" placeholder:"FILE" help:"File that holds it."`
}

func (m *migrateCmd) Run(ctx context.Context, con *console) error {
	var url string
	if err := secrets([]secret{{&url, m.OwnerURL, m.OwnerURLFile, "POSTERN_OWNER_DATABASE_URL"}}); err != nil {
		return err
	}
	if url == "" {
		if m.DatabaseURL != "" || m.DatabaseURLFile != "" {
			return errors.New("set POSTERN_OWNER_DATABASE_URL: the desk's login may not change the schema")
		}
		cluster, err := embedded.Start(ctx, embedded.Config{Dir: filepath.Join(m.Data, "postgres"), Log: con.progress})
		if err != nil {
			return err
		}
		defer cluster.Stop()
		url = cluster.Owner()
	}
	steps, err := postgres.Migrate(ctx, url)
	if err != nil {
		return err
	}
	fmt.Fprintf(con.out, "The schema is at step %d; steps taken: %d.\n", postgres.KnownSchema(), steps)
	return nil
}
