package policy

import (
	"embed"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"postern/internal/disclosure"
)

//go:embed presets/*.toml
var presetFiles embed.FS

// PresetNames lists the policies that come with the program.
var PresetNames = []string{"minimal", "django", "pyca-cryptography", "demo"}

// Preset returns one of them as the text of a policy file.
func Preset(name string) (string, error) {
	if !slices.Contains(PresetNames, name) {
		return "", fmt.Errorf("no preset is called %q; there are %s", name, strings.Join(PresetNames, ", "))
	}
	text, err := presetFiles.ReadFile("presets/" + name + ".toml")
	if err != nil {
		return "", fmt.Errorf("read preset %s: %w", name, err)
	}
	return string(text), nil
}

// Presets returns all of them by name.
func Presets() map[string]string {
	all := map[string]string{}
	for _, name := range PresetNames {
		if text, err := Preset(name); err == nil {
			all[name] = text
		}
	}
	return all
}

// Format writes the policy in force as a file, defaults spelled out. Parsing
// it gives the same policy; its version is the database's and is not written.
func Format(p *disclosure.Policy) string {
	var b strings.Builder
	table := ""
	for _, k := range known {
		value := k.show(p)
		if empty(value) {
			continue
		}
		name := k.name
		if t, rest, ok := strings.Cut(k.name, "."); ok {
			name = rest
			if t != table {
				table = t
				fmt.Fprintf(&b, "\n[%s]\n", t)
			}
		}
		if tables, ok := value.([]map[string]any); ok {
			table = name
			for _, one := range tables {
				fmt.Fprintf(&b, "\n[[%s]]\n", name)
				keys := seriesKeys
				if name == "reasons" {
					keys = reasonKeys
				}
				for _, sk := range keys {
					if !empty(one[sk.name]) || sk.name == "supported" {
						fmt.Fprintf(&b, "%s = %s\n", sk.name, literal(one[sk.name]))
					}
				}
			}
			continue
		}
		fmt.Fprintf(&b, "%s = %s\n", name, literal(value))
	}
	return strings.TrimPrefix(b.String(), "\n")
}

func empty(value any) bool {
	switch v := value.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case bool:
		return !v
	case []string:
		return len(v) == 0
	case []map[string]any:
		return len(v) == 0
	}
	return false
}

func literal(value any) string {
	switch v := value.(type) {
	case string:
		return quote(v)
	case []string:
		items := make([]string, len(v))
		for i, s := range v {
			items[i] = quote(s)
		}
		return "[" + strings.Join(items, ", ") + "]"
	}
	return fmt.Sprint(value)
}

// quote writes a basic string of TOML.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range s {
		switch {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteRune(c)
		case c == '\n':
			b.WriteString(`\n`)
		case c == '\t':
			b.WriteString(`\t`)
		case c < ' ' || c == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, c)
		default:
			b.WriteRune(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// Describe says in sentences what the policy makes the program do, one a line.
func Describe(p *disclosure.Policy) string {
	var lines []string
	say := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }

	say("%s takes reports at %s, up to %d MiB.", p.Project.Name, p.Contact.Address, p.Intake.MaxBytes>>20)
	if p.Intake.Paused != "" {
		say("Intake is paused: %s", p.Intake.Paused)
	}
	by := "a member of the team"
	if p.Ack.By == "any" {
		by = "anyone, an automatic receipt included"
	}
	if p.Ack.Within.IsZero() {
		say("No first answer is promised.")
	} else {
		say("A first answer comes within %s, from %s.", p.Ack.Within.Words(), by)
	}
	if !p.Ack.Detail.IsZero() {
		say("A decision comes within %s.", p.Ack.Detail.Words())
	}
	var names []string
	for _, s := range p.Series {
		if s.Supported {
			names = append(names, s.Name)
		}
	}
	if len(names) > 0 {
		say("Supported are %s.", strings.Join(names, ", "))
	}
	switch p.Severity.Scheme {
	case "none":
		say("Severities are neither shown nor asked for.")
	default:
		say("Severities are %s.", strings.Join(p.Severity.Levels, ", "))
	}
	if p.Distributors.Tell {
		say("Distributors are told %s before, signed by %s; encryption: %s.", p.Lead.Target.Words(), p.Distributors.Signer, p.Distributors.Encrypt)
	} else {
		say("There is no private list.")
	}
	if p.Announce.Ahead {
		say("%s learns date and severities %s before.", p.Announce.Address, p.Lead.Target.Words())
	}
	if p.Announce.Address != "" {
		say("On the day %s is told.", p.Announce.Address)
	}
	if p.Announce.OSS != "" {
		say("On the day %s is told, with the full text.", p.Announce.OSS)
	}
	say("Releases are planned for %s, %s; publishing takes %s.", p.Publish.Hour, p.Publish.Zone, map[int]string{1: "one member", 2: "two members"}[p.Publish.Members])
	for i, s := range p.Publish.Steps {
		say("Step %s of the day: %s.", strconv.Itoa(i+1), strings.TrimSuffix(s, "."))
	}
	if p.Reporter.ToldDate == "with_first_notice" {
		say("Reporters are told the date with the first notice.")
	}
	switch p.Reporter.ClearMail {
	case "safe":
		say("Reporters without a key are mailed in clear only what gives nothing away: %s.", strings.Join(p.Reporter.Safe, ", "))
	case "ask":
		say("Reporters without a key may be mailed in clear, once a member said so.")
	}
	if p.Contact.Roster {
		say("The names of the team's members are public.")
	}
	if p.Intake.Recipients == "person" {
		say("New reports go to one named person, or to who stands in.")
	}
	for _, reason := range p.Reasons {
		say("A report may be closed as %s: %s.", reason.Verdict.Words(), reason.Name)
	}
	return strings.Join(lines, "\n") + "\n"
}
