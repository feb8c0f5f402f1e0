package disclosure

import (
	"errors"
	"slices"
	"testing"
	"time"
)

func anApplication(t *testing.T, at time.Time) *Application {
	t.Helper()
	p := &Policy{Version: 3, Ack: Ack{Within: Span{Hours: 48}}, Distributors: DistributorPolicy{Tell: true},
		Membership: MembershipPolicy{Apply: []string{"mail"}, Decide: Span{Days: 30}}}
	a := NewApplication("a1", 7, ByMail, Protection{Encryption: OnArrival}, at, p)
	a.Title = "Harbor OS"
	if err := a.SetApplicant(Reporter{ID: "r1", Address: "vendor@harbor.example", Received: at, Channel: ByMail}); err != nil {
		t.Fatal(err)
	}
	a.Events()
	a.Alerts()
	return a
}

var (
	whenItCame = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	oneAdmin   = Caller{Member: "m1", Name: "Ada", Roles: Admin}
)

// TestApplicationForOthersIsNotThere: every step answers whoever may not
// enroll distributors as if there were none.
func TestApplicationForOthersIsNotThere(t *testing.T) {
	for _, roles := range []Roles{Triager, Releaser, Auditor, Triager | Releaser | Auditor, 0} {
		by := Caller{Member: "m2", Name: "Tove", Roles: roles}
		a := anApplication(t, whenItCame)
		_, made := a.BecomeReport(1, a.Policy, by, whenItCame)
		for step, err := range map[string]error{
			"SetAside": a.SetAside("no", by, whenItCame), "TakeUp": a.TakeUp(by, whenItCame), "SetKey": a.SetKey([]byte("k"), "k", by, whenItCame),
			"NoteArrival": a.NoteArrival(ByMail, by, whenItCame), "SetAttention": a.SetAttention("x", by, whenItCame), "BecomeReport": made,
		} {
			if !errors.Is(err, ErrNotFound) {
				t.Errorf("%s as %q: %v, want ErrNotFound", step, roles, err)
			}
		}
		if a.State != ApplicationReceived || len(a.Events()) != 0 {
			t.Errorf("a refused step as %q changed it: %s", roles, a.State)
		}
	}
}

// TestApplicationClock: only the policy's own promise runs, each stage is told
// once, and setting aside keeps it.
func TestApplicationClock(t *testing.T) {
	a := anApplication(t, whenItCame)
	clocks := a.Clocks()
	if len(clocks) != 1 || clocks[0].Name != "decision" || !clocks[0].Due.Equal(whenItCame.AddDate(0, 0, 30)) {
		t.Fatalf("Clocks() = %+v, want the decision alone, after 30 days", clocks)
	}
	var told []AlertKind
	tick := func(after time.Duration) {
		a.Tick(whenItCame.Add(after))
		for _, x := range a.Alerts() {
			if x.Ref != "/applications/7" {
				t.Errorf("an alert leads to %q", x.Ref)
			}
			told = append(told, x.Kind)
		}
	}
	const day = 24 * time.Hour
	for _, after := range []time.Duration{3 * day, 14 * day, 15 * day, 16 * day, 24 * day, 25 * day, 30 * day, 31 * day, 60 * day} {
		tick(after)
	}
	if want := []AlertKind{AlertHalf, AlertFourFifths, AlertBreach}; !slices.Equal(told, want) {
		t.Errorf("told %v, want %v", told, want)
	}
	if err := a.SetAside("Too small.", oneAdmin, whenItCame.AddDate(0, 0, 40)); err != nil {
		t.Fatal(err)
	}
	if c := a.Clocks(); c[0].Running() || !c[0].Breached(whenItCame.AddDate(0, 0, 41)) || !a.Due().IsZero() || !a.Wake().IsZero() {
		t.Errorf("set aside late: clocks %+v, due %s, wake %s; want it kept late and nothing due", c, a.Due(), a.Wake())
	}
	if err := a.TakeUp(oneAdmin, whenItCame.AddDate(0, 0, 41)); err != nil || !a.Due().Equal(whenItCame.AddDate(0, 0, 30)) {
		t.Errorf("TakeUp: %v, due %s, want the old date", err, a.Due())
	}
	a.Policy = &Policy{}
	if c := a.Clocks(); len(c) != 0 {
		t.Errorf("without a promise Clocks() = %+v", c)
	}
}

// TestApplicationSteps: the reason is asked for, and a report is one once.
func TestApplicationSteps(t *testing.T) {
	a := anApplication(t, whenItCame)
	now := whenItCame.Add(72 * time.Hour)
	for _, reason := range []string{"", " \n", "\x07"} {
		if err := a.SetAside(reason, oneAdmin, now); err == nil {
			t.Errorf("SetAside(%q) was taken", reason)
		}
	}
	if err := a.TakeUp(oneAdmin, now); err == nil {
		t.Error("TakeUp of what is open was taken")
	}
	c, err := a.BecomeReport(42, a.Policy, oneAdmin, now)
	if err != nil {
		t.Fatal(err)
	}
	if c.ID != "a1" || c.Number != 42 || c.State != Received || !c.Received.Equal(whenItCame) || len(c.Reporters) != 1 || c.Reporters[0].ID != "r1" {
		t.Errorf("BecomeReport made %+v", c)
	}
	if got := c.Clocks()[0].Due; !got.Equal(whenItCame.Add(48 * time.Hour)) {
		t.Errorf("the case's first answer is due %s, want 48 hours from when it came", got)
	}
	if a.State != ApplicationReport || a.Case != 42 || len(a.Clocks()) != 0 {
		t.Errorf("the application is %s, case %d, clocks %v", a.State, a.Case, a.Clocks())
	}
	if _, err := a.BecomeReport(43, a.Policy, oneAdmin, now); err == nil {
		t.Error("it became a report twice")
	}
	if err := a.SetAside("no", oneAdmin, now); err == nil {
		t.Error("what became a case was set aside")
	}
	for _, r := range []Reporter{{Name: "two\nlines"}, {Address: "no address"}, {Address: "A <a@b.example>"}} {
		if err := a.SetApplicant(r); err == nil || a.Applicant.ID != "r1" {
			t.Errorf("SetApplicant(%+v) = %v, and the applicant is %+v", r, err, a.Applicant)
		}
	}
}
