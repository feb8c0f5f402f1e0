package disclosure_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	. "postern/internal/disclosure"
)

var audiences = []Audience{ToAnnounceAhead, ToDistributors, ToReporters, ToAnnounce, ToOSS}

// may says who finds something in each field of a Brief. A field that is not
// here fails the test: somebody has to decide.
var may = map[string][]Audience{
	"Audience":                  audiences,
	"Project.Name":              audiences,
	"Project.URL":               audiences,
	"Project.Prefix":            audiences,
	"Project.Description":       audiences,
	"Project.Language":          audiences,
	"Contact":                   audiences,
	"At":                        audiences,
	"Zone":                      audiences,
	"URL":                       nil, // the gate's address is put in by the caller
	"Count":                     {ToAnnounceAhead, ToDistributors, ToAnnounce, ToOSS},
	"Severities":                {ToAnnounceAhead, ToDistributors, ToAnnounce, ToOSS},
	"Versions.Series":           {ToAnnounceAhead, ToDistributors, ToAnnounce, ToOSS},
	"Versions.Number":           {ToAnnounceAhead, ToDistributors, ToAnnounce, ToOSS},
	"Versions.NoPatch":          {ToDistributors, ToAnnounce, ToOSS},
	"Versions.Artefacts.Kind":   {ToAnnounce, ToOSS},
	"Versions.Artefacts.URL":    {ToAnnounce, ToOSS},
	"Versions.Artefacts.SHA256": {ToAnnounce, ToOSS},
	"Release":                   {ToDistributors, ToAnnounce, ToOSS},
	"Issues.PublicName":         {ToDistributors, ToAnnounce, ToOSS},
	"Issues.CVE":                {ToDistributors, ToAnnounce, ToOSS},
	"Issues.Class":              {ToDistributors, ToAnnounce, ToOSS},
	"Issues.Text.Title":         {ToDistributors, ToAnnounce, ToOSS},
	"Issues.Text.Summary":       {ToDistributors, ToAnnounce, ToOSS},
	"Issues.Text.Description":   {ToDistributors, ToAnnounce, ToOSS},
	"Issues.Text.Impact":        {ToDistributors, ToAnnounce, ToOSS},
	"Issues.Text.Remedy":        {ToDistributors, ToAnnounce, ToOSS},
	"Issues.Text.Workaround":    {ToDistributors, ToAnnounce, ToOSS},
	"Issues.Text.References":    {ToDistributors, ToAnnounce, ToOSS},
	"Issues.Severity.Level":     {ToDistributors, ToAnnounce, ToOSS},
	"Issues.Severity.Vector":    {ToDistributors, ToAnnounce, ToOSS},
	"Issues.Severity.Reason":    nil, // why we rate so stays inside
	"Issues.Affected.Series":    {ToDistributors, ToAnnounce, ToOSS},
	"Issues.Affected.Effect":    {ToDistributors, ToAnnounce, ToOSS},
	"Issues.Affected.Versions":  {ToDistributors, ToAnnounce, ToOSS},
	"Issues.Credits":            {ToDistributors, ToAnnounce, ToOSS},
	"Patches.Name":              {ToDistributors, ToAnnounce, ToOSS},
	"Patches.Series":            {ToDistributors, ToAnnounce, ToOSS},
	"Patches.Size":              {ToDistributors, ToAnnounce, ToOSS},
	"Patches.SHA256":            {ToDistributors, ToAnnounce, ToOSS},
	"Patches.Path":              nil,
	"Sharing":                   {ToDistributors},
	"Urgent":                    {ToDistributors},
	"Reason":                    {ToDistributors},
}

// full is a release in which everything there is holds a mark of its own.
func full() *Release {
	p := testPolicy()
	p.Severity.Scheme = "cvss"
	p.Project.Description = "mark-project"
	c := &Case{Number: 1, Policy: p, State: Embargoed, Track: Standard}
	mark(reflect.ValueOf(c).Elem(), "case")
	c.State, c.Track, c.Policy = Embargoed, Standard, p
	c.Severity.Level = "high"
	c.Affected = []Affected{{"4.2", Affects, "mark-range"}, {"3.2", Affects, "mark-unsupported"}, {"9.9", Affects, "mark-unknown-series"}}
	c.Reporters = []Reporter{
		{Name: "mark-name", Address: "mark-address", Credit: Credit{Wish: CreditYes, Text: "mark-credit"}},
		{Name: "mark-shy", Credit: Credit{Wish: CreditNo, Text: "mark-refused"}},
		{Name: "mark-unset", Credit: Credit{Text: "mark-unanswered"}},
	}
	r := &Release{}
	mark(reflect.ValueOf(r).Elem(), "release")
	r.ID, r.State, r.Policy, r.Cases, r.At, r.Urgent = "mark-release-id", Scheduled, p, []*Case{c}, day0, true
	r.DisclosedAt = time.Time{}
	return r
}

// mark fills every string it reaches with its own path.
func mark(v reflect.Value, path string) {
	switch v.Kind() {
	case reflect.String:
		if v.CanSet() {
			v.SetString("mark-" + path)
		}
	case reflect.Int64, reflect.Int:
		if v.CanSet() {
			v.SetInt(7)
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				mark(v.Field(i), path+"."+v.Type().Field(i).Name)
			}
		}
	case reflect.Slice:
		if v.CanSet() && v.Type().Elem().Kind() != reflect.Pointer {
			v.Set(reflect.MakeSlice(v.Type(), 1, 1))
			mark(v.Index(0), path)
		}
	}
}

// leaves lists the paths of a type's fields, and which of them hold something.
func leaves(v reflect.Value, path string, visit func(path string, filled bool)) {
	join := func(name string) string { return strings.TrimPrefix(path+"."+name, ".") }
	switch {
	case v.Kind() == reflect.Struct && v.Type() != reflect.TypeFor[time.Time]():
		for i := range v.NumField() {
			leaves(v.Field(i), join(v.Type().Field(i).Name), visit)
		}
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Struct:
		leaves(reflect.Zero(v.Type().Elem()), path, visit)
		for i := range v.Len() {
			leaves(v.Index(i), path, visit)
		}
	case v.Kind() == reflect.Slice:
		visit(path, v.Len() > 0)
	default:
		visit(path, !v.IsZero())
	}
}

func TestBriefTellsEachAudienceItsPart(t *testing.T) {
	for _, a := range audiences {
		brief := full().Brief(a)
		filled := map[string]bool{}
		leaves(reflect.ValueOf(brief), "", func(path string, f bool) { filled[path] = filled[path] || f })
		for path, got := range filled {
			allowed, decided := may[path]
			if !decided {
				t.Errorf("Brief has a field %s nobody decided about: add it to the table of this test", path)
				continue
			}
			if want := slices.Contains(allowed, a); got != want {
				t.Errorf("Brief(%s).%s is filled: %v, want %v", a, path, got, want)
			}
		}
		if len(filled) != len(may) {
			t.Errorf("Brief has %d fields, the table %d", len(filled), len(may))
		}
	}
}

// Whatever the fields: no mark of what stays inside is in any brief.
func TestBriefHoldsNothingFromInside(t *testing.T) {
	open := []string{ // marks that may be seen on the day, or by distributors
		"mark-project", "mark-range", "mark-credit", "mark-release-id",
		"mark-case.Public.", "mark-case.CVE", "mark-case.Class", "mark-case.PublicName", "mark-case.Severity.Vector",
		"mark-release.Versions.", "mark-release.Patches.Name", "mark-release.Patches.Series", "mark-release.Patches.File.SHA256", "mark-release.Zone",
	}
	for _, a := range append(audiences, "somebody new") {
		r := full()
		text := fmt.Sprintf("%+v", r.Brief(a))
		for _, m := range strings.FieldsFunc(text, func(c rune) bool { return strings.ContainsRune(" {}[]:", c) }) {
			if !strings.HasPrefix(m, "mark-") {
				continue
			}
			ok := slices.ContainsFunc(open, func(o string) bool { return strings.HasPrefix(m, o) })
			if a == ToDistributors && m == "mark-release.Reason" {
				ok = true
			}
			if (a == ToReporters || a == ToAnnounceAhead) && !slices.Contains([]string{"mark-project", "mark-release.Zone", "mark-release.Versions.Series", "mark-release.Versions.Number"}, m) {
				ok = false
			}
			if !ok {
				t.Errorf("Brief(%s) holds %s", a, m)
			}
		}
		if a == "somebody new" && !reflect.DeepEqual(r.Brief(a), Brief{Audience: a}) {
			t.Errorf("Brief of an unknown audience = %+v, want nothing", r.Brief(a))
		}
	}
}

func TestBriefWithoutSeverities(t *testing.T) {
	r := full()
	r.Policy.Severity.Scheme = "none"
	for _, a := range audiences {
		b := r.Brief(a)
		if len(b.Severities) > 0 || len(b.Issues) > 0 && b.Issues[0].Severity != (Severity{}) {
			t.Errorf("Brief(%s) has severities although the scheme is none: %+v", a, b)
		}
	}
}

func TestBriefForOneCase(t *testing.T) {
	r := full()
	two := *r.Cases[0]
	two.ID, two.PublicName = "second", "mark-second"
	r.Cases = append(r.Cases, &two)
	for _, a := range audiences {
		b := r.BriefFor(r.Cases[0].ID, a)
		if strings.Contains(fmt.Sprintf("%+v", b), "mark-second") {
			t.Errorf("BriefFor(first, %s) tells of the second case", a)
		}
		if wide := a != ToReporters && a != ToAnnounceAhead; (b.Count == 1) != wide {
			t.Errorf("BriefFor(first, %s).Count = %d", a, b.Count)
		}
	}
}

// Support is judged on the day of disclosure: 4.2 ends on 2028-04-30.
func TestAffectedFollowsSupportOnTheDay(t *testing.T) {
	for _, test := range []struct {
		at   time.Time
		want int
	}{
		{time.Date(2028, 4, 30, 23, 0, 0, 0, time.UTC), 1},
		{time.Date(2028, 5, 1, 0, 0, 0, 0, time.UTC), 0},
	} {
		r := full()
		r.At = test.at
		if got := r.Brief(ToAnnounce).Issues[0].Affected; len(got) != test.want {
			t.Errorf("on %v affected = %v, want %d series", test.at, got, test.want)
		}
	}
}
