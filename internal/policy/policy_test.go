package policy

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"postern/internal/disclosure"
)

const small = "[project]\nname = \"Lantern\"\n[contact]\naddress = \"security@lantern.example\"\n"

func TestPresets(t *testing.T) {
	for _, name := range PresetNames {
		text := Presets()[name]
		p, err := Parse([]byte(text))
		if err != nil {
			t.Errorf("Parse(preset %s):\n%v", name, err)
			continue
		}
		again, err := Parse([]byte(Format(p)))
		if err != nil {
			t.Errorf("Parse(Format(preset %s)):\n%v\n%s", name, err, Format(p))
			continue
		}
		if diff := cmp.Diff(p, again); diff != "" {
			t.Errorf("Parse(Format(preset %s)) differs (-first +again):\n%s", name, diff)
		}
		if !strings.Contains(Describe(p), p.Contact.Address) {
			t.Errorf("Describe(preset %s) does not name %s", name, p.Contact.Address)
		}
	}
	if _, err := Preset("../policy"); err == nil {
		t.Error("Preset(../policy) was not refused")
	}
}

func TestDefaults(t *testing.T) {
	got, err := Parse([]byte(small))
	if err != nil {
		t.Fatal(err)
	}
	want := &disclosure.Policy{
		Project:      disclosure.Project{Name: "Lantern", Prefix: "LANTERN", Language: "en"},
		Contact:      disclosure.Contact{Address: "security@lantern.example", Domains: []string{"lantern.example"}},
		Intake:       disclosure.Intake{MaxBytes: 25 << 20, Recipients: "all"},
		Ack:          disclosure.Ack{Within: disclosure.Span{Hours: 48}, By: "member"},
		Calendar:     disclosure.Calendar{Zone: "UTC", Working: []time.Weekday{1, 2, 3, 4, 5}},
		Severity:     disclosure.SeverityScheme{Scheme: "none"},
		Announce:     disclosure.AnnouncePolicy{Signer: disclosure.SignedByTeam},
		Distributors: disclosure.DistributorPolicy{Signer: disclosure.SignedByTeam, Encrypt: "required"},
		Publish:      disclosure.PublishPolicy{Members: 1, Zone: "UTC", Hour: "15:00"},
		Reporter:     disclosure.ReporterPolicy{ToldDate: "with_first_notice", Credit: "ask", ClearMail: "never", Safe: SafeLetters},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Parse(%q) (-want +got):\n%s", small, diff)
	}
}

// effects says, for every key there is, a line of a file and what it changes
// in the parsed value. base is put in front of it.
var effects = map[string]struct {
	base, set string
	got       func(p *disclosure.Policy) any
	want      any
}{
	"id":                    {"", `id = "x-1"`, func(p *policy) any { return p.ID }, "x-1"},
	"effective":             {"", `effective = 2026-01-02`, func(p *policy) any { return p.Effective }, "2026-01-02"},
	"project.name":          {"", `project.name = "Torch"`, func(p *policy) any { return p.Project.Name + p.Project.Prefix }, "TorchTORCH"},
	"project.url":           {"", `project.url = "https://torch.example/"`, func(p *policy) any { return p.Project.URL }, "https://torch.example/"},
	"project.prefix":        {"", `project.prefix = "TRC"`, func(p *policy) any { return p.Project.Prefix }, "TRC"},
	"project.description":   {"", `project.description = "A light."`, func(p *policy) any { return p.Project.Description }, "A light."},
	"project.language":      {"", `project.language = "pt-BR"`, func(p *policy) any { return p.Project.Language }, "pt-BR"},
	"contact.address":       {"", `contact.address = "s@b.example"`, func(p *policy) any { return p.Contact.Address + p.Contact.Domains[0] }, "s@b.exampleb.example"},
	"contact.readers":       {"", `contact.readers = "two people"`, func(p *policy) any { return p.Contact.Readers }, "two people"},
	"contact.domains":       {"", `contact.domains = ["c.example", "d.example"]`, func(p *policy) any { return p.Contact.Domains }, []string{"c.example", "d.example"}},
	"intake.scope":          {"", `intake.scope = ["one", "two"]`, func(p *policy) any { return p.Intake.Scope }, []string{"one", "two"}},
	"intake.out_of_scope":   {"", `intake.out_of_scope = ["ECB"]`, func(p *policy) any { return p.Intake.OutOfScope }, []string{"ECB"}},
	"intake.asks":           {"", `intake.asks = ["ai-use", "public"]`, func(p *policy) any { return p.Intake.Asks }, []string{"ai-use", "public"}},
	"intake.max_bytes":      {"", `intake.max_bytes = "2 MiB"`, func(p *policy) any { return p.Intake.MaxBytes }, int64(2 << 20)},
	"intake.paused":         {"", `intake.paused = "until Monday"`, func(p *policy) any { return p.Intake.Paused }, "until Monday"},
	"intake.next":           {"", "intake.next = '''\na\nb'''", func(p *policy) any { return p.Intake.Next }, "a\nb"},
	"intake.safe_harbor":    {"", `intake.safe_harbor = "fine"`, func(p *policy) any { return p.Intake.SafeHarbor }, "fine"},
	"ack.within":            {"", `ack.within = "3wd"`, func(p *policy) any { return p.Ack.Within }, disclosure.Span{WorkingDays: 3}},
	"ack.by":                {"", `ack.by = "any"`, func(p *policy) any { return p.Ack.By }, "any"},
	"ack.detail":            {"", `ack.detail = "10d"`, func(p *policy) any { return p.Ack.Detail }, disclosure.Span{Days: 10}},
	"calendar.zone":         {"", `calendar.zone = "Europe/Berlin"`, func(p *policy) any { return p.Calendar.Zone }, "Europe/Berlin"},
	"calendar.working":      {"", `calendar.working = ["sun", "thu"]`, func(p *policy) any { return p.Calendar.Working }, []time.Weekday{time.Sunday, time.Thursday}},
	"calendar.holidays":     {"", `calendar.holidays = [2026-12-25, "2027-01-01"]`, func(p *policy) any { return p.Calendar.Holidays }, []string{"2026-12-25", "2027-01-01"}},
	"series":                {"", `series = [{name = "4.2"}]`, func(p *policy) any { return p.Series }, []disclosure.Series{{Name: "4.2", Supported: true}}},
	"series.name":           {"", "[[series]]\nname = \"5.1\"", func(p *policy) any { return p.Series[0].Name }, "5.1"},
	"series.supported":      {"", "[[series]]\nname = \"5.1\"\nsupported = false", func(p *policy) any { return p.Series[0].Supported }, false},
	"series.until":          {"", "[[series]]\nname = \"5.1\"\nuntil = 2027-01-31", func(p *policy) any { return p.Series[0].Until }, "2027-01-31"},
	"series.branch":         {"", "[[series]]\nname = \"main\"\nbranch = true", func(p *policy) any { return p.Series[0].Branch }, true},
	"severity.scheme":       {"", `severity.scheme = "cvss"`, func(p *policy) any { return p.Severity.Levels }, []string{"critical", "high", "medium", "low"}},
	"severity.levels":       {`severity.scheme = "levels"`, `severity.levels = ["bad", "worse"]`, func(p *policy) any { return p.Severity.Levels }, []string{"bad", "worse"}},
	"lead.target":           {"", `lead.target = "14d"`, func(p *policy) any { return p.Lead.Target }, disclosure.Span{Days: 14}},
	"lead.min":              {`lead.target = "7d"`, `lead.min = "24h"`, func(p *policy) any { return p.Lead.Min }, disclosure.Span{Hours: 24}},
	"lead.max":              {`lead.target = "7d"`, `lead.max = "10wd"`, func(p *policy) any { return p.Lead.Max }, disclosure.Span{WorkingDays: 10}},
	"announce.address":      {"", `announce.address = "list@b.example"`, func(p *policy) any { return p.Announce.Address }, "list@b.example"},
	"announce.ahead":        {`announce.address = "list@b.example"`, `announce.ahead = true`, func(p *policy) any { return []any{p.Announce.Ahead, p.Lead.Target.Days} }, []any{true, 7}},
	"announce.signer":       {"", `announce.signer = "nobody"`, func(p *policy) any { return p.Announce.Signer }, disclosure.SignedByNobody},
	"announce.oss_security": {"", `announce.oss_security = "oss@b.example"`, func(p *policy) any { return p.Announce.OSS }, "oss@b.example"},
	"distributors.tell":     {"", `distributors.tell = true`, func(p *policy) any { return []any{p.Distributors.Tell, p.Lead.Target.Days} }, []any{true, 7}},
	"distributors.signer":   {"", `distributors.signer = "releaser"`, func(p *policy) any { return p.Distributors.Signer }, disclosure.SignedByReleaser},
	"distributors.encrypt":  {"", `distributors.encrypt = "if_key"`, func(p *policy) any { return p.Distributors.Encrypt }, "if_key"},
	"distributors.sharing":  {"", `distributors.sharing = "nothing"`, func(p *policy) any { return p.Distributors.Sharing }, "nothing"},
	"distributors.reminder": {"", `distributors.reminder = "2d"`, func(p *policy) any { return p.Distributors.Reminder }, disclosure.Span{Days: 2}},
	"membership.apply": {`distributors.tell = true`, `membership.apply = ["mail"]`, func(p *policy) any {
		return []any{p.TakesApplications("mail"), p.TakesApplications("form"), p.Membership.Subject}
	}, []any{true, false, ApplicationSubject}},
	"membership.subject":    {"", `membership.subject = "Tell me first"`, func(p *policy) any { return p.Membership.Subject }, "Tell me first"},
	"membership.decide":     {"", `membership.decide = "30d"`, func(p *policy) any { return p.Membership.Decide }, disclosure.Span{Days: 30}},
	"membership.groups":     {"", `membership.groups = ["Packagers"]`, func(p *policy) any { return p.Membership.Groups }, []string{"Packagers"}},
	"publish.steps":         {"", `publish.steps = ["a", "b"]`, func(p *policy) any { return p.Publish.Steps }, []string{"a", "b"}},
	"publish.members":       {"", `publish.members = 2`, func(p *policy) any { return p.Publish.Members }, 2},
	"publish.zone":          {"", `publish.zone = "America/New_York"`, func(p *policy) any { return p.Publish.Zone }, "America/New_York"},
	"publish.hour":          {"", `publish.hour = "09:30"`, func(p *policy) any { return p.Publish.Hour }, "09:30"},
	"reporter.told_date":    {"", `reporter.told_date = "optional"`, func(p *policy) any { return p.Reporter.ToldDate }, "optional"},
	"reporter.credit":       {"", `reporter.credit = "ask"`, func(p *policy) any { return p.Reporter.Credit }, "ask"},
	"reporter.safe_letters": {"", `reporter.safe_letters = ["ask-key"]`, func(p *policy) any { return p.Reporter.Safe }, []string{"ask-key"}},
	"contact.roster":        {"", `contact.roster = true`, func(p *policy) any { return p.Contact.Roster }, true},
	"intake.recipients":     {"", `intake.recipients = "person"`, func(p *policy) any { return p.Intake.Recipients }, "person"},
	"reasons":               {"", `reasons = [{name = "weak", verdict = "spam", text = "No."}]`, func(p *policy) any { return p.Reasons }, []disclosure.Reason{{Name: "weak", Verdict: "spam", Text: "No."}}},
	"reasons.name":          {"", "[[reasons]]\nverdict = \"spam\"\ntext = \"b\"\nname = \"weak\"", func(p *policy) any { return p.Reasons[0].Name }, "weak"},
	"reasons.verdict":       {"", "[[reasons]]\nname = \"a\"\ntext = \"b\"\nverdict = \"spam\"", func(p *policy) any { return p.Reasons[0].Verdict }, disclosure.Spam},
	"reasons.text":          {"", "[[reasons]]\nname = \"a\"\nverdict = \"spam\"\ntext = \"b\"", func(p *policy) any { return p.Reasons[0].Text }, "b"},
	"reporter.clear_mail":   {"", `reporter.clear_mail = "safe"`, func(p *policy) any { return p.Reporter.ClearMail }, "safe"},
}

func TestEachKeyHasItsEffect(t *testing.T) {
	for _, name := range Keys() {
		e, ok := effects[name]
		if !ok {
			t.Errorf("key %s has no entry in effects: say what it changes", name)
			continue
		}
		file := e.base + "\n"
		if !strings.HasPrefix(e.set, "project.name") {
			file += "project.name = \"Lantern\"\n"
		}
		if !strings.HasPrefix(e.set, "contact.address") {
			file += "contact.address = \"security@lantern.example\"\n"
		}
		without, err := Parse([]byte(small))
		if err != nil {
			t.Fatal(err)
		}
		p, err := Parse([]byte(file + e.set))
		if err != nil {
			t.Errorf("Parse with %s:\n%v", e.set, err)
			continue
		}
		if got := e.got(p); !reflect.DeepEqual(got, e.want) {
			t.Errorf("Parse with %s: %s is %v, want %v", e.set, name, got, e.want)
		}
		// series and credit cannot differ from the default in kind
		if name != "reporter.credit" && !strings.HasPrefix(name, "series") && !strings.HasPrefix(name, "reasons") && name != "project.name" && reflect.DeepEqual(e.got(p), e.got(without)) {
			t.Errorf("%s has no effect: %v is the default", e.set, e.want)
		}
	}
	if len(effects) != len(Keys()) {
		t.Errorf("effects has %d keys, Keys() %d", len(effects), len(Keys()))
	}
}

func TestFaults(t *testing.T) {
	tests := []struct{ name, file, want string }{
		{"unknown table", small + "lead_tme = \"7d\"\n", "line 5: unknown key `contact.lead_tme`"},
		{"near table", "lead_tme = \"7d\"\n" + small, "line 1: unknown key `lead_tme`; did you mean `lead`?"},
		{"near key", small + "[lead]\ntarget = \"7d\"\nmni = \"5d\"\n", "line 7: unknown key `lead.mni`; did you mean `lead.min`?"},
		{"other table", small + "signer = \"team\"\n", "line 5: unknown key `contact.signer`; did you mean `announce.signer`?"},
		{"unknown table header", small + "[distributor]\ntell = true\n", "line 5: unknown key `distributor`; did you mean `distributors`?"},
		{"in a series", small + "[[series]]\nname = \"1\"\n\n[[series]]\nname = \"2\"\nuntill = 2027-01-01\n", "line 10: unknown key `untill`; did you mean `until`?"},
		{"inline", small + "[ack]\n\nwithin = 48\n", "line 7: `ack.within` wants a text in quotes, and has a number"},
		{"span", small + "[ack]\nwithin = \"2 weeks\"\n", "line 6: `ack.within`: \"2 weeks\" is no span: write hours as 48h, days as 7d, working days as 3wd"},
		{"nothing promised", small + "[ack]\nwithin = \"0h\"\n", "line 6: `ack.within`: \"0h\" is out of range: from 1h to 87840h; leave the key out to promise nothing"},
		{"zone", small + "[publish]\nzone = \"Europe/Belin\"\n", "line 6: `publish.zone`: no time zone is called \"Europe/Belin\"; write it as in Europe/Berlin or UTC"},
		{"local zone", small + "[publish]\nzone = \"Local\"\n", "line 6: `publish.zone`: no time zone is called \"Local\"; write it as in Europe/Berlin or UTC"},
		{"address", small + "[announce]\naddress = \"Us <us@b.example>\"\n", "line 6: `announce.address`: \"Us <us@b.example>\" is no mail address such as security@example.org"},
		{"enumeration", small + "[ack]\nby = \"bot\"\n", "line 6: `ack.by`: \"bot\" is none of \"member\", \"any\""},
		{"missing", "", "`contact.address` is missing: it is where people reach the team\n`project.name` is missing: it is the name of what is reported on"},
		{"syntax", "[project\nname = 1", "line 1: "},
		{"twice", "[project]\nname = \"a\"\nname = \"b\"\n", "line 3: "},
		{"series twice", small + "[[series]]\nname = \"1\"\n[[series]]\nname = \"1\"\n", "line 8: series \"1\" is named twice"},
		{"levels", small + "[severity]\nscheme = \"levels\"\n", "line 5: `severity.levels` is missing: name the levels, the highest first"},
		{"lead", small + "[lead]\ntarget = \"3wd\"\nmin = \"5d\"\n", "line 7: `lead.min` (5d) is longer than `lead.target` (3wd)"},
		{"ahead of nobody", small + "[announce]\nahead = true\n", "line 6: `announce.ahead` needs `announce.address`: there is no list to tell ahead"},
		{"a value for a table", "ack = 3\n" + small, "line 1: `ack` is a table: write [ack] and its keys below"},
		{"a table for a value", small + "[ack.by]\nx = 1\n", "line 5: `ack.by` wants a text in quotes, and has a table"},
		{"emptied", small + "[publish]\nhour = \"\"\n", "line 6: `publish.hour` is empty; leave it out for the default"},
		{"size", small + "[intake]\nmax_bytes = 12\n", "line 6: `intake.max_bytes` wants a size from \"64 KiB\" to \"1024 MiB\""},
	}
	for _, test := range tests {
		p, err := Parse([]byte(test.file))
		if err == nil {
			t.Errorf("%s: Parse accepted\n%s", test.name, test.file)
			continue
		}
		if p != nil {
			t.Errorf("%s: Parse returned a policy beside its error", test.name)
		}
		var faults Faults
		if !errors.As(err, &faults) {
			t.Errorf("%s: Parse returned a %T, want Faults", test.name, err)
		}
		if got := err.Error(); got != test.want && !(strings.HasSuffix(test.want, ": ") && strings.HasPrefix(got, test.want)) {
			t.Errorf("%s: Parse said\n%s\nwant\n%s", test.name, got, test.want)
		}
	}
}

func TestAllFaultsAtOnce(t *testing.T) {
	file := "idd = \"x\"\n[project]\nname = 7\nurl = \"ftp://x\"\n[contact]\naddress = \"nobody\"\n[ack]\nwithin = \"soon\"\n"
	_, err := Parse([]byte(file))
	var faults Faults
	if !errors.As(err, &faults) {
		t.Fatalf("Parse returned %v, want Faults", err)
	}
	var lines []int
	for _, f := range faults {
		lines = append(lines, f.Line)
	}
	if want := []int{1, 3, 4, 6, 8}; !slices.Equal(lines, want) {
		t.Errorf("Parse found faults in lines %v, want %v:\n%v", lines, want, err)
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range Presets() {
		f.Add([]byte(text))
	}
	for _, e := range effects {
		f.Add([]byte(small + e.set))
	}
	f.Add([]byte("series = [1, {name = 2}]"))
	f.Add([]byte("[[series]]\n[series.name]\n"))
	f.Add([]byte("a.b.c = [{d = 1}, # x\n {e = 2}]"))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := Parse(text)
		if err != nil {
			if strings.TrimSpace(err.Error()) == "" {
				t.Fatalf("Parse(%q) refused without a word", text)
			}
			return
		}
		again, err := Parse([]byte(Format(p)))
		if err != nil {
			t.Fatalf("Parse(Format(Parse(%q))): %v\n%s", text, err, Format(p))
		}
		if diff := cmp.Diff(fmt.Sprintf("%+v", p), fmt.Sprintf("%+v", again)); diff != "" {
			t.Fatalf("Parse(Format(Parse(%q))) differs:\n%s", text, diff)
		}
	})
}
