// Package doctor says what is wrong with an installation, why that matters,
// and the command that mends it. It looks and changes nothing. What it cannot
// find out while the vault is locked it says so of.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"postern/internal/disclosure"
	"postern/internal/postgres"
	"postern/internal/smtp"
)

// Severity orders findings. The set is closed.
type Severity string

const (
	OK   Severity = "ok"
	Warn Severity = "warn" // works, but not as it should, or not for long
	Fail Severity = "fail" // does not work, or promises something that is not so
)

// Finding is one thing looked at.
type Finding struct {
	Severity Severity
	What     string // "The team's signing key is good for 393 days."
	Why      string // what follows from it; empty when all is well
	Mend     string // the command or the setting; empty when all is well
}

// Facts are what doctor looks at. Whatever is absent is not looked at, except
// that a missing database is a finding.
type Facts struct {
	DB      *postgres.DB // nil: DBError says why
	DBError error
	Version string // of the program

	Relay      *smtp.Relay // nil: mail is kept in the outbox
	RelayError error       // the relay's URL cannot be used
	Outbox     *smtp.Outbox
	Fetcher    *smtp.Fetcher

	Data    string // $POSTERN_DATA
	GateURL string
	DeskURL string
	Now     func() time.Time // the program's time; nil: time.Now
	Timeout time.Duration    // of everything that goes over the network; 0: 10 s
}

// Worst is the severest of the findings; OK when there are none.
func Worst(list []Finding) Severity {
	worst := OK
	for _, f := range list {
		if f.Severity == Fail || f.Severity == Warn && worst == OK {
			worst = f.Severity
		}
	}
	return worst
}

// ExitCode is the command's: 0, 1 for warnings, 2 for faults.
func ExitCode(list []Finding) int {
	return map[Severity]int{OK: 0, Warn: 1, Fail: 2}[Worst(list)]
}

// Run looks at everything, faults first, else in a fixed order.
func Run(ctx context.Context, f Facts) []Finding {
	if f.Now == nil {
		f.Now = time.Now
	}
	if f.Timeout <= 0 {
		f.Timeout = 10 * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, f.Timeout)
	defer cancel()
	e := &exam{Facts: f}
	e.database(ctx)
	if f.DB != nil {
		e.held(ctx)
		e.policy(ctx)
		e.vault(ctx)
		e.keys(ctx)
		e.securityTxt(ctx)
		e.members(ctx)
		e.waiting(ctx)
	}
	e.mail(ctx)
	e.addresses()
	e.disk()
	order := map[Severity]int{Fail: 0, Warn: 1, OK: 2}
	slices.SortStableFunc(e.found, func(a, b Finding) int { return order[a.Severity] - order[b.Severity] })
	return e.found
}

type exam struct {
	Facts
	found []Finding
}

func (e *exam) ok(what string, args ...any) { e.add(OK, fmt.Sprintf(what, args...), "", "") }

func (e *exam) add(s Severity, what, why, mend string) {
	e.found = append(e.found, Finding{s, what, why, mend})
}

// failed is for a question that got no answer.
func (e *exam) failed(question string, err error) {
	e.add(Warn, question+" could not be looked at: "+sentence(err), "Doctor cannot say whether all is well there.", "postern doctor")
}

func sentence(err error) string {
	s := strings.TrimRight(err.Error(), ".\n")
	if i := strings.IndexByte(s, '\n'); i >= 0 {
		s = s[:i]
	}
	return s + "."
}

func (e *exam) database(ctx context.Context) {
	if e.DB == nil {
		switch {
		case errors.Is(e.DBError, postgres.ErrSchema):
			e.add(Fail, sentence(e.DBError), "The program refuses a database whose tables it does not know.", "postern migrate")
		case e.DBError != nil:
			e.add(Fail, "The database cannot be opened: "+sentence(e.DBError), "Nothing can be stored or read.", "check POSTERN_DATABASE_URL, and that PostgreSQL runs")
		default:
			e.add(Fail, "There is no database.", "Nothing can be stored or read.", "postern init")
		}
		return
	}
	server, err := e.DB.Server(ctx)
	if err != nil {
		e.add(Fail, "The database does not answer: "+sentence(err), "Nothing can be stored or read.", "check POSTERN_DATABASE_URL, and that PostgreSQL runs")
		return
	}
	e.ok("The database answers (PostgreSQL %s), its schema is at step %d.", server.Version, postgres.KnownSchema())
	off := e.DB.Wall().Sub(server.Time).Abs().Round(time.Second)
	switch {
	case off > postgres.TimeTolerance:
		e.add(Fail, fmt.Sprintf("This machine's time and the database's differ by %s.", off),
			"The instance is held when it starts so: promises and signatures depend on the time.", "set both machines' clocks, as with: timedatectl set-ntp true")
	case off > 10*time.Second:
		e.add(Warn, fmt.Sprintf("This machine's time and the database's differ by %s.", off),
			"Beyond five minutes the instance is held.", "set both machines' clocks, as with: timedatectl set-ntp true")
	default:
		e.ok("This machine's time and the database's agree.")
	}
	if e.DB.Instance() == "" {
		e.add(Fail, "The database belongs to no instance yet.", "There is no vault to seal reports to.", "postern init")
	}
}

func (e *exam) held(ctx context.Context) {
	held, err := e.DB.Held(ctx)
	switch {
	case errors.Is(err, disclosure.ErrNotFound): // no instance yet
	case err != nil:
		e.failed("Whether the instance is held", err)
	case !held.Since.IsZero():
		e.add(Fail, "The instance is held since "+held.Since.UTC().Format("2 January 2006, 15:04 UTC")+": "+strings.Join(held.Because, " "),
			"Nothing is sent or published until a member lets go.", "sign in at the desk, read the health page, and let go there")
	}
}

func (e *exam) policy(ctx context.Context) {
	p, err := e.DB.CurrentPolicy(ctx)
	switch {
	case errors.Is(err, disclosure.ErrNotFound):
		e.add(Fail, "No policy is in force.", "The gate has nothing to show and takes no reports.", "postern policy apply FILE")
		return
	case err != nil:
		e.add(Fail, "The policy in force cannot be read: "+sentence(err), "The gate may show what is not promised any more.", "postern policy check FILE, then postern policy apply FILE")
		return
	}
	e.ok("Policy %d of %s is in force.", p.Version, p.Project.Name)
	if p.Intake.Paused != "" {
		e.add(Warn, "Intake is paused.", "The form takes no reports; mail is kept.", "take intake.paused out of the policy, then postern policy apply FILE")
	}
}

func (e *exam) members(ctx context.Context) {
	list, err := e.DB.Members(ctx, disclosure.System("doctor"))
	if err != nil {
		e.failed("Who the members are", err)
		return
	}
	admins, triagers, releasers, active := 0, 0, 0, 0
	var invited *postgres.Member // an admin whose link is open
	for i, m := range list {
		if !m.Joined && m.Disabled.IsZero() && m.Roles.Has(disclosure.Admin) && e.DB.Wall().Before(m.InviteUntil) && invited == nil {
			invited = &list[i]
		}
		if !m.Joined || !m.Disabled.IsZero() {
			continue
		}
		active++
		if m.Roles.Has(disclosure.Admin) {
			admins++
		}
		if m.Roles.Has(disclosure.Triager) {
			triagers++
		}
		if m.Roles.Has(disclosure.Releaser) {
			releasers++
		}
	}
	switch {
	case active == 0 && invited != nil:
		e.add(Warn, fmt.Sprintf("%s's invitation waits until %s; nobody can sign in yet.", invited.Name, invited.InviteUntil.UTC().Format("2 January, 15:04 UTC")),
			"Reports are taken, and nobody reads them.", "open the link that was printed, or make another: postern member reset "+invited.Login)
	case active == 0:
		e.add(Fail, "Nobody can sign in.", "Reports are taken, and nobody reads them.", "postern member invite NAME ADDRESS --role admin --role triager --role releaser")
	case admins == 0 || triagers == 0 || releasers == 0:
		e.add(Warn, fmt.Sprintf("Of %d members, %d are admins, %d triagers and %d releasers.", active, admins, triagers, releasers),
			"What a missing role may do, nobody can.", "postern member invite NAME ADDRESS --role …")
	default:
		e.ok("%s can sign in.", plural(active, "member", "members"))
	}
}

func (e *exam) waiting(ctx context.Context) {
	n, oldest, err := e.DB.WaitingArrivals(ctx)
	switch {
	case err != nil:
		e.failed("Whether reports wait", err)
	case n == 0:
		e.ok("No arrival waits to be opened.")
	case e.unlocked() && e.DB.Now().Sub(oldest) < 5*time.Minute:
		e.ok("%s to be opened.", plural(n, "arrival waits", "arrivals wait"))
	case e.unlocked():
		e.add(Warn, fmt.Sprintf("%s to be opened since %s, though the vault is unlocked.", plural(n, "arrival waits", "arrivals wait"), oldest.UTC().Format("2 January, 15:04 UTC")),
			"They may have been sealed to a vault key that is not here, or were altered.", "look at the program's log for “does not open with this vault”")
	default:
		e.add(Warn, fmt.Sprintf("%s to be opened since %s.", plural(n, "arrival waits", "arrivals wait"), oldest.UTC().Format("2 January, 15:04 UTC")),
			"The vault is locked; the promised times run.", "postern unlock")
	}
}

func (e *exam) unlocked() bool {
	v := e.DB.Vault()
	return v != nil && v.Unlocked()
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
