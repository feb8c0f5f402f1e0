package policy

import (
	"slices"
	"strings"
	"time"
	"unicode"

	"postern/internal/disclosure"
)

// defaults fills what a file leaves out. What a file sets, be it to nothing,
// is left alone: tree says what it sets.
func (r *reader) defaults(p *disclosure.Policy, tree map[string]any) {
	text := func(key string, field *string, value string) {
		if *field == "" && !r.has(tree, key) {
			*field = value
		}
	}
	text("project.language", &p.Project.Language, "en")
	text("project.prefix", &p.Project.Prefix, prefixOf(p.Project.Name))
	text("ack.by", &p.Ack.By, "member")
	if !r.has(tree, "ack.within") {
		p.Ack.Within = disclosure.Span{Hours: 48}
	}
	text("calendar.zone", &p.Calendar.Zone, "UTC")
	if !r.has(tree, "calendar.working") {
		p.Calendar.Working = []time.Weekday{time.Monday, time.Tuesday, time.Wednesday, time.Thursday, time.Friday}
	}
	if !r.has(tree, "intake.max_bytes") {
		p.Intake.MaxBytes = 25 << 20
	}
	if at := strings.LastIndexByte(p.Contact.Address, '@'); at >= 0 && !r.has(tree, "contact.domains") {
		p.Contact.Domains = []string{strings.ToLower(p.Contact.Address[at+1:])}
	}
	text("severity.scheme", &p.Severity.Scheme, "none")
	if p.Severity.Scheme == "cvss" && !r.has(tree, "severity.levels") {
		p.Severity.Levels = []string{"critical", "high", "medium", "low"}
	}
	if (p.Distributors.Tell || p.Announce.Ahead) && !r.has(tree, "lead.target") {
		p.Lead.Target = disclosure.Span{Days: 7}
	}
	text("announce.signer", (*string)(&p.Announce.Signer), "team")
	text("distributors.signer", (*string)(&p.Distributors.Signer), "team")
	text("distributors.encrypt", &p.Distributors.Encrypt, "required")
	if len(p.Membership.Apply) > 0 {
		text("membership.subject", &p.Membership.Subject, ApplicationSubject)
	}
	if !r.has(tree, "publish.members") {
		p.Publish.Members = 1
	}
	text("publish.zone", &p.Publish.Zone, "UTC")
	text("publish.hour", &p.Publish.Hour, "15:00")
	text("reporter.told_date", &p.Reporter.ToldDate, "with_first_notice")
	text("reporter.credit", &p.Reporter.Credit, "ask")
	text("reporter.clear_mail", &p.Reporter.ClearMail, "never")
	if !r.has(tree, "reporter.safe_letters") {
		p.Reporter.Safe = SafeLetters
	}
	text("intake.recipients", &p.Intake.Recipients, "all")
}

// has reports whether the file sets a key.
func (r *reader) has(tree map[string]any, key string) bool {
	table, name, nested := strings.Cut(key, ".")
	if !nested {
		_, ok := tree[key]
		return ok
	}
	sub, ok := tree[table].(map[string]any)
	if !ok {
		return false
	}
	_, ok = sub[name]
	return ok
}

// prefixOf makes LANTERN of "Lantern".
func prefixOf(name string) string {
	prefix := strings.Map(func(c rune) rune {
		c = unicode.ToUpper(c)
		if c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' {
			return c
		}
		return -1
	}, name)
	prefix = strings.TrimLeft(prefix, "0123456789")
	if len(prefix) > 20 {
		prefix = prefix[:20]
	}
	if len(prefix) < 2 {
		return "ADVISORY"
	}
	return prefix
}

// ApplicationSubject is what Django and others ask applicants to write.
const ApplicationSubject = "Security notification request"

// check finds what only shows when keys are seen together.
func (r *reader) check(p *disclosure.Policy) {
	r.needs("project.name", p.Project.Name, "it is the name of what is reported on")
	r.needs("contact.address", p.Contact.Address, "it is where people reach the team")
	for key, field := range map[string]string{
		"project.prefix": p.Project.Prefix, "project.language": p.Project.Language, "ack.by": p.Ack.By, "calendar.zone": p.Calendar.Zone,
		"severity.scheme": p.Severity.Scheme, "announce.signer": string(p.Announce.Signer), "distributors.signer": string(p.Distributors.Signer),
		"distributors.encrypt": p.Distributors.Encrypt, "publish.zone": p.Publish.Zone, "publish.hour": p.Publish.Hour,
		"reporter.told_date": p.Reporter.ToldDate, "reporter.credit": p.Reporter.Credit, "reporter.clear_mail": p.Reporter.ClearMail,
	} {
		if field == "" && !r.faulty(key) {
			r.fault(key, "`%s` is empty; leave it out for the default", key)
		}
	}

	switch levels := p.Severity.Levels; {
	case p.Severity.Scheme == "levels" && len(levels) == 0:
		r.fault("severity.levels", "`severity.levels` is missing: name the levels, the highest first")
	case p.Severity.Scheme == "cvss" && len(levels) == 0:
		r.fault("severity.levels", "`severity.levels` is empty: name the levels, the highest first, or leave it out")
	case p.Severity.Scheme == "none" && len(levels) > 0:
		r.fault("severity.levels", "`severity.levels` has no effect while `severity.scheme` is \"none\"")
	}

	lead := p.Lead
	if !lead.Min.IsZero() && !lead.Target.IsZero() && roughly(lead.Min) > roughly(lead.Target) {
		r.fault("lead.min", "`lead.min` (%s) is longer than `lead.target` (%s)", lead.Min, lead.Target)
	}
	if !lead.Max.IsZero() && !lead.Target.IsZero() && roughly(lead.Max) < roughly(lead.Target) {
		r.fault("lead.max", "`lead.max` (%s) is shorter than `lead.target` (%s)", lead.Max, lead.Target)
	}
	if lead.Target.IsZero() && (!lead.Min.IsZero() || !lead.Max.IsZero()) {
		r.fault("lead.target", "`lead.target` is missing: `lead.min` and `lead.max` say how far from it a release may be")
	}
	if p.Announce.Ahead && p.Announce.Address == "" && !r.faulty("announce.address") {
		r.fault("announce.ahead", "`announce.ahead` needs `announce.address`: there is no list to tell ahead")
	}
	if len(p.Membership.Apply) > 0 && !p.Distributors.Tell {
		r.fault("membership.apply", "`membership.apply` has no effect while `distributors.tell` is false: nobody is told ahead")
	}
	if p.Membership.Subject == "" && slices.Contains(p.Membership.Apply, "mail") && !r.faulty("membership.subject") {
		r.fault("membership.subject", "`membership.subject` is empty; leave it out for %q", ApplicationSubject)
	}
	if p.Distributors.Signer == disclosure.SignedByNobody && p.Distributors.Tell && p.Distributors.Encrypt == "required" {
		r.fault("distributors.signer", "`distributors.signer` is \"nobody\": an encrypted notice that nobody signed could be from anybody; choose \"team\" or \"releaser\", or `encrypt = \"if_key\"`")
	}
}

func (r *reader) needs(key, value, why string) {
	if value == "" && !r.faulty(key) {
		r.fault(key, "`%s` is missing: %s", key, why)
	}
}

// faulty reports whether something is said about a key already.
func (r *reader) faulty(key string) bool {
	for _, f := range r.faults {
		if f.Key == key {
			return true
		}
	}
	return false
}
