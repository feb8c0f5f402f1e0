package policy

import (
	"fmt"
	"math"
	"net/mail"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"

	"postern/internal/disclosure"
)

type policy = disclosure.Policy

// key is one key of the file: how it is read into the policy, and how it is
// printed from it. Nothing else reads it.
type key struct {
	name string
	read func(r *reader, p *policy, path string, value any)
	show func(p *policy) any // nil: left out
}

// known is every key there is, in the order they are printed.
var known = []key{
	line("id", func(p *policy) *string { return &p.ID }, nil),
	line("effective", func(p *policy) *string { return &p.Effective }, isDate),

	line("project.name", func(p *policy) *string { return &p.Project.Name }, nil),
	line("project.url", func(p *policy) *string { return &p.Project.URL }, isURL),
	line("project.prefix", func(p *policy) *string { return &p.Project.Prefix }, isPrefix),
	line("project.description", func(p *policy) *string { return &p.Project.Description }, nil),
	line("project.language", func(p *policy) *string { return &p.Project.Language }, isLanguage),

	line("contact.address", func(p *policy) *string { return &p.Contact.Address }, isAddress),
	line("contact.readers", func(p *policy) *string { return &p.Contact.Readers }, nil),
	flag("contact.roster", func(p *policy) *bool { return &p.Contact.Roster }),
	list("contact.domains", func(p *policy) *[]string { return &p.Contact.Domains }, isDomain),

	list("intake.scope", func(p *policy) *[]string { return &p.Intake.Scope }, nil),
	list("intake.out_of_scope", func(p *policy) *[]string { return &p.Intake.OutOfScope }, nil),
	list("intake.asks", func(p *policy) *[]string { return &p.Intake.Asks }, oneOf("threat-model", "ai-use", "exploited", "public", "deadline")),
	size("intake.max_bytes", func(p *policy) *int64 { return &p.Intake.MaxBytes }),
	text("intake.paused", func(p *policy) *string { return &p.Intake.Paused }),
	text("intake.next", func(p *policy) *string { return &p.Intake.Next }),
	text("intake.safe_harbor", func(p *policy) *string { return &p.Intake.SafeHarbor }),
	line("intake.recipients", func(p *policy) *string { return &p.Intake.Recipients }, oneOf("all", "person")),

	span("ack.within", func(p *policy) *disclosure.Span { return &p.Ack.Within }),
	line("ack.by", func(p *policy) *string { return &p.Ack.By }, oneOf("member", "any")),
	span("ack.detail", func(p *policy) *disclosure.Span { return &p.Ack.Detail }),

	line("calendar.zone", func(p *policy) *string { return &p.Calendar.Zone }, isZone),
	weekdays("calendar.working", func(p *policy) *[]time.Weekday { return &p.Calendar.Working }),
	list("calendar.holidays", func(p *policy) *[]string { return &p.Calendar.Holidays }, isDate),

	{name: "series", read: readSeries, show: showSeries},

	line("severity.scheme", func(p *policy) *string { return &p.Severity.Scheme }, oneOf("none", "levels", "cvss")),
	list("severity.levels", func(p *policy) *[]string { return &p.Severity.Levels }, nil),

	span("lead.target", func(p *policy) *disclosure.Span { return &p.Lead.Target }),
	span("lead.min", func(p *policy) *disclosure.Span { return &p.Lead.Min }),
	span("lead.max", func(p *policy) *disclosure.Span { return &p.Lead.Max }),

	line("announce.address", func(p *policy) *string { return &p.Announce.Address }, isAddress),
	flag("announce.ahead", func(p *policy) *bool { return &p.Announce.Ahead }),
	line("announce.signer", func(p *policy) *string { return (*string)(&p.Announce.Signer) }, oneOf("team", "releaser", "nobody")),
	line("announce.oss_security", func(p *policy) *string { return &p.Announce.OSS }, isAddress),

	flag("distributors.tell", func(p *policy) *bool { return &p.Distributors.Tell }),
	line("distributors.signer", func(p *policy) *string { return (*string)(&p.Distributors.Signer) }, oneOf("team", "releaser", "nobody")),
	line("distributors.encrypt", func(p *policy) *string { return &p.Distributors.Encrypt }, oneOf("required", "if_key")),
	text("distributors.sharing", func(p *policy) *string { return &p.Distributors.Sharing }),
	span("distributors.reminder", func(p *policy) *disclosure.Span { return &p.Distributors.Reminder }),

	list("membership.apply", func(p *policy) *[]string { return &p.Membership.Apply }, oneOf("mail", "form")),
	line("membership.subject", func(p *policy) *string { return &p.Membership.Subject }, nil),
	span("membership.decide", func(p *policy) *disclosure.Span { return &p.Membership.Decide }),
	list("membership.groups", func(p *policy) *[]string { return &p.Membership.Groups }, nil),

	list("publish.steps", func(p *policy) *[]string { return &p.Publish.Steps }, nil),
	number("publish.members", func(p *policy) *int { return &p.Publish.Members }, 1, 2),
	line("publish.zone", func(p *policy) *string { return &p.Publish.Zone }, isZone),
	line("publish.hour", func(p *policy) *string { return &p.Publish.Hour }, isHour),

	line("reporter.told_date", func(p *policy) *string { return &p.Reporter.ToldDate }, oneOf("with_first_notice", "optional")),
	line("reporter.credit", func(p *policy) *string { return &p.Reporter.Credit }, oneOf("ask")),
	line("reporter.clear_mail", func(p *policy) *string { return &p.Reporter.ClearMail }, oneOf("never", "safe", "ask")),
	list("reporter.safe_letters", func(p *policy) *[]string { return &p.Reporter.Safe }, oneOf(SafeLetters...)),

	{name: "reasons", read: readReasons, show: showReasons},
}

// Keys lists the name of every key, for the documentation and for tests.
func Keys() []string {
	var names []string
	for _, k := range known {
		names = append(names, k.name)
	}
	for _, k := range seriesKeys {
		names = append(names, "series."+k.name)
	}
	for _, k := range reasonKeys {
		names = append(names, "reasons."+k.name)
	}
	return names
}

// line is a text on one line that passes check; a date is taken too, since
// TOML has them without quotes.
func line(name string, field func(*policy) *string, check func(string) string) key {
	return key{name,
		func(r *reader, p *policy, path string, value any) {
			s, ok := r.text(path, value)
			if !ok {
				return
			}
			if strings.ContainsAny(s, "\r\n") {
				r.fault(path, "`%s` must be one line", name)
				return
			}
			r.set(path, field(p), strings.TrimSpace(s), check)
		},
		func(p *policy) any { return *field(p) }}
}

// text may have several lines.
func text(name string, field func(*policy) *string) key {
	return key{name,
		func(r *reader, p *policy, path string, value any) {
			if s, ok := r.text(path, value); ok {
				r.set(path, field(p), strings.TrimSpace(s), nil)
			}
		},
		func(p *policy) any { return *field(p) }}
}

func (r *reader) set(path string, field *string, s string, check func(string) string) {
	if check != nil && s != "" {
		if wrong := check(s); wrong != "" {
			r.fault(path, "`%s`: %s", path, wrong)
			return
		}
	}
	*field = s
}

func (r *reader) text(path string, value any) (string, bool) {
	switch v := value.(type) {
	case string:
		return v, true
	case toml.LocalDate:
		return v.String(), true
	case toml.LocalTime:
		return fmt.Sprintf("%02d:%02d", v.Hour, v.Minute), v.Second == 0 && v.Nanosecond == 0 || r.wrong(path, "an hour and minute", value)
	}
	return "", r.wrong(path, "a text in quotes", value)
}

// wrong notes a value of the wrong kind; it is false, for use in conditions.
func (r *reader) wrong(path, want string, value any) bool {
	r.fault(path, "`%s` wants %s, and has %s", path, want, kindOf(value))
	return false
}

func kindOf(value any) string {
	switch value.(type) {
	case string:
		return "a text"
	case int64, float64:
		return "a number"
	case bool:
		return "true or false"
	case []any:
		return "a list"
	case map[string]any:
		return "a table"
	}
	return "a date or time"
}

func list(name string, field func(*policy) *[]string, check func(string) string) key {
	return key{name,
		func(r *reader, p *policy, path string, value any) {
			items, ok := value.([]any)
			if !ok {
				r.wrong(path, "a list: [\"…\", \"…\"]", value)
				return
			}
			all := make([]string, 0, len(items))
			for _, item := range items {
				var s string
				text, ok := r.text(path, item)
				if !ok {
					return
				}
				r.set(path, &s, strings.TrimSpace(text), check)
				switch {
				case strings.TrimSpace(text) == "":
					r.fault(path, "`%s` has an empty entry", path)
				case slices.Contains(all, s) && s != "":
					r.fault(path, "`%s` has %q twice", path, s)
				}
				all = append(all, s)
			}
			*field(p) = all
		},
		func(p *policy) any { return *field(p) }}
}

func flag(name string, field func(*policy) *bool) key {
	return key{name,
		func(r *reader, p *policy, path string, value any) {
			b, ok := value.(bool)
			if !ok {
				r.wrong(path, "true or false", value)
				return
			}
			*field(p) = b
		},
		func(p *policy) any { return *field(p) }}
}

func number(name string, field func(*policy) *int, least, most int64) key {
	return key{name,
		func(r *reader, p *policy, path string, value any) {
			n, ok := value.(int64)
			if !ok || n < least || n > most {
				r.fault(path, "`%s` wants a number from %d to %d", path, least, most)
				return
			}
			*field(p) = int(n)
		},
		func(p *policy) any { return *field(p) }}
}

var sizeForm = regexp.MustCompile(`^([0-9]{1,6}) ?(KiB|MiB)$`)

// size is bytes, or a text such as "25 MiB".
func size(name string, field func(*policy) *int64) key {
	const least, most = 64 << 10, 1 << 30
	return key{name,
		func(r *reader, p *policy, path string, value any) {
			n, ok := value.(int64)
			if s, isText := value.(string); isText {
				if m := sizeForm.FindStringSubmatch(s); m != nil {
					n, _ = strconv.ParseInt(m[1], 10, 64)
					n, ok = n<<map[string]int{"KiB": 10, "MiB": 20}[m[2]], true
				}
			}
			if !ok || n < least || n > most {
				r.fault(path, "`%s` wants a size from \"64 KiB\" to \"1024 MiB\"", path)
				return
			}
			*field(p) = n
		},
		func(p *policy) any { return *field(p) }}
}

var spanForm = regexp.MustCompile(`^([0-9]{1,5}) ?(h|d|wd)$`)

func span(name string, field func(*policy) *disclosure.Span) key {
	return key{name,
		func(r *reader, p *policy, path string, value any) {
			s, ok := r.text(path, value)
			if !ok {
				return
			}
			got, wrong := ParseSpan(s)
			if wrong != nil {
				r.fault(path, "`%s`: %s", path, wrong)
				return
			}
			*field(p) = got
		},
		func(p *policy) any {
			if field(p).IsZero() {
				return nil
			}
			return field(p).String()
		}}
}

// ParseSpan reads "48h", "7d" or "3wd". Nothing at all ("0h") is no span, and
// ten years are the longest.
func ParseSpan(s string) (disclosure.Span, error) {
	m := spanForm.FindStringSubmatch(strings.TrimSpace(s))
	if m == nil {
		return disclosure.Span{}, fmt.Errorf("%q is no span: write hours as 48h, days as 7d, working days as 3wd", s)
	}
	n, err := strconv.Atoi(m[1])
	most := map[string]int{"h": 10 * 366 * 24, "d": 10 * 366, "wd": 10 * 262}[m[2]]
	if err != nil || n == 0 || n > most {
		return disclosure.Span{}, fmt.Errorf("%q is out of range: from 1%s to %d%s; leave the key out to promise nothing", s, m[2], most, m[2])
	}
	switch m[2] {
	case "h":
		return disclosure.Span{Hours: n}, nil
	case "d":
		return disclosure.Span{Days: n}, nil
	}
	return disclosure.Span{WorkingDays: n}, nil
}

// roughly compares spans of different kinds.
func roughly(s disclosure.Span) float64 {
	return float64(s.Hours) + 24*float64(s.Days) + math.Floor(24*7.0/5.0*float64(s.WorkingDays))
}

var dayNames = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

func weekdays(name string, field func(*policy) *[]time.Weekday) key {
	return key{name,
		func(r *reader, p *policy, path string, value any) {
			var names []string
			list(name, func(*policy) *[]string { return &names }, oneOf(dayNames...)).read(r, p, path, value)
			var days []time.Weekday
			for _, n := range names {
				if i := slices.Index(dayNames, n); i >= 0 {
					days = append(days, time.Weekday(i))
				}
			}
			if items, ok := value.([]any); ok && len(items) == 0 {
				r.fault(path, "`%s` names no day", path)
			}
			*field(p) = days
		},
		func(p *policy) any {
			var names []string
			for _, d := range *field(p) {
				names = append(names, dayNames[d])
			}
			return names
		}}
}

// seriesKeys are those of one [[series]]. They read into the last one.
var seriesKeys = []key{
	line("name", func(p *policy) *string { return &last(p).Name }, isSeries),
	flag("supported", func(p *policy) *bool { return &last(p).Supported }),
	line("until", func(p *policy) *string { return &last(p).Until }, isDate),
	flag("branch", func(p *policy) *bool { return &last(p).Branch }),
}

func last(p *policy) *disclosure.Series { return &p.Series[len(p.Series)-1] }

func readSeries(r *reader, p *policy, path string, value any) {
	items, ok := value.([]any)
	if !ok {
		r.fault(path, "`%s` is a list of tables: write [[%s]] above each", path, path)
		return
	}
	for i, item := range items {
		place := fmt.Sprintf("%s.%d", path, i)
		tree, ok := item.(map[string]any)
		if !ok {
			r.fault(path, "`%s` is a list of tables: write [[%s]] above each", path, path)
			return
		}
		p.Series = append(p.Series, disclosure.Series{Supported: true}) // naming it is what supports it
		r.walk(place+".", "", tree, seriesKeys, func(k key, value any, path string) { k.read(r, p, path, value) })
		name := last(p).Name
		if _, given := tree["name"]; !given {
			r.fault(place, "a series needs a `name`")
		}
		for _, s := range p.Series[:len(p.Series)-1] {
			if s.Name == name && name != "" {
				r.fault(place+".name", "series %q is named twice", name)
			}
		}
	}
}

func showSeries(p *policy) any {
	var tables []map[string]any
	for i := range p.Series {
		one := &policy{Series: p.Series[i : i+1]}
		table := map[string]any{}
		for _, k := range seriesKeys {
			table[k.name] = k.show(one)
		}
		tables = append(tables, table)
	}
	return tables
}

func oneOf(values ...string) func(string) string {
	return func(s string) string {
		if slices.Contains(values, s) {
			return ""
		}
		quoted := make([]string, len(values))
		for i, v := range values {
			quoted[i] = strconv.Quote(v)
		}
		return fmt.Sprintf("%q is none of %s", s, strings.Join(quoted, ", "))
	}
}

func matches(form *regexp.Regexp, wrong string) func(string) string {
	return func(s string) string {
		if form.MatchString(s) {
			return ""
		}
		return fmt.Sprintf("%q %s", s, wrong)
	}
}

var (
	isPrefix   = matches(regexp.MustCompile(`^[A-Z][A-Z0-9]{1,19}$`), "is no prefix: 2 to 20 capital letters and digits, such as LANTERN")
	isLanguage = matches(regexp.MustCompile(`^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$`), "is no language tag such as en or pt-BR")
	isDomain   = matches(regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`), "is no mail domain, in small letters")
	isSeries   = matches(regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$`), "is no name of a series: letters, digits and . _ + -")
	isHour     = matches(regexp.MustCompile(`^([01][0-9]|2[0-3]):[0-5][0-9]$`), "is no hour such as 15:00")
)

func isDate(s string) string {
	if d, err := time.Parse(time.DateOnly, s); err != nil || d.Year() < 1970 || d.Year() > 2999 {
		return fmt.Sprintf("%q is no date such as 2026-03-31", s)
	}
	return ""
}

func isZone(s string) string {
	if _, err := disclosure.LoadZone(s); err != nil {
		return err.Error() + "; write it as in Europe/Berlin or UTC"
	}
	return ""
}

func isAddress(s string) string {
	a, err := mail.ParseAddress(s)
	if err != nil || a.Name != "" || a.Address != s || strings.ContainsFunc(s, func(c rune) bool { return c > '~' || c <= ' ' }) {
		return fmt.Sprintf("%q is no mail address such as security@example.org", s)
	}
	if host := s[strings.LastIndexByte(s, '@')+1:]; isDomain(strings.ToLower(host)) != "" {
		return fmt.Sprintf("%q has no mail domain after the @", s)
	}
	return ""
}

func isURL(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Sprintf("%q is no web address such as https://example.org/", s)
	}
	return ""
}
