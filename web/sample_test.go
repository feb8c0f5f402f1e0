package web_test

import (
	"strings"
	"time"

	"github.com/a-h/templ"

	"postern/internal/disclosure"
	"postern/web/public"
	"postern/web/ui"
)

// page is one page in one state.
type page struct {
	name string
	c    templ.Component
}

var (
	now    = time.Date(2026, 2, 3, 15, 4, 0, 0, time.UTC)
	vienna = time.FixedZone("CET", 3600)
	print1 = "94F1D3A07B6E22C8510A77DE3CB94E1F08A2D655"
	print2 = "2C8510A77DE3CB94E1F08A2D65594F1D3A07B6E2"
	digest = strings.Repeat("5f1e", 16)
	pasted = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmDMEZ…\n-----END PGP PUBLIC KEY BLOCK-----"
	lamp   = disclosure.Project{Name: "Lantern", URL: "https://lantern.example", Prefix: "LANTERN", Language: "en"}
	// hostile is what a stranger may write where we print text.
	hostile = `"><script>alert(1)</script>' onload=x <b style="x"> &amp; ` + "\u202egpj.exe"
)

func ago(d time.Duration) time.Time { return now.Add(-d) }
func in(d time.Duration) time.Time  { return now.Add(d) }

const day = 24 * time.Hour

func gate(current string) ui.Gate {
	return ui.Gate{Page: ui.Page{Now: now, Project: lamp, Contact: "security@lantern.example"}, Current: current}
}

func document(current string) ui.Gate {
	g := gate(current)
	g.Now = time.Time{}
	return g
}

func policy() *disclosure.Policy {
	return &disclosure.Policy{
		Version: 3, ID: "lantern-2026", Effective: "2026-01-15", Project: lamp,
		Contact: disclosure.Contact{Address: "security@lantern.example", Readers: "the five members of the security team"},
		Intake: disclosure.Intake{
			Scope:      []string{"Anything in the templates, the request parser or the session store by which one user can act as another.", "Problems in the documentation that lead to insecure sites."},
			OutOfScope: []string{"Slow pages that need an administrator's account.", "Reports of a scanner without a way to use what it found."},
			SafeHarbor: "If you act in good faith and give us time to mend it, we will not take legal action.",
		},
		Ack:          disclosure.Ack{Within: disclosure.Span{Hours: 48}, By: "member"},
		Series:       []disclosure.Series{{Name: "4.2", Supported: true, Until: "2026-04-30"}, {Name: "5.0", Supported: true}, {Name: "3.2"}, {Name: "main", Branch: true}},
		Severity:     disclosure.SeverityScheme{Scheme: "levels", Levels: []string{"high", "moderate", "low"}},
		Lead:         disclosure.Lead{Target: disclosure.Span{Days: 7}},
		Announce:     disclosure.AnnouncePolicy{Address: "announce@lantern.example", Ahead: true, OSS: "oss-security@lists.openwall.example"},
		Distributors: disclosure.DistributorPolicy{Tell: true},
		Reporter:     disclosure.ReporterPolicy{ToldDate: "with_first_notice", Credit: "ask"},
	}
}

func advisory() disclosure.Advisory {
	return disclosure.Advisory{
		Name: "LANTERN-2026-k7qd", Version: 2, Published: ago(30 * day), Updated: ago(2 * day), Project: lamp,
		Issue: disclosure.Issue{
			PublicName: "LANTERN-2026-k7qd", CVE: "CVE-2026-24817",
			Text:     disclosure.Text{Title: "Session fixation through the sign-in form's next parameter", References: []string{"https://lantern.example/docs/sessions", "javascript:alert(1)"}},
			Severity: disclosure.Severity{Level: "high", Vector: "CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:U/C:H/I:H/A:N"},
			Class:    "CWE-384",
			Affected: []disclosure.Affected{{Series: "4.2", Effect: disclosure.Affects, Versions: "before 4.2.10"}, {Series: "5.0", Effect: disclosure.Affects, Versions: "before 5.0.3"}, {Series: "3.2", Effect: disclosure.EffectUnknown}},
			Credits:  []string{"Ana Marković of Beacon Labs", hostile},
		},
		Versions: []disclosure.Version{{Series: "4.2", Number: "4.2.10", Artefacts: []disclosure.Artefact{{Kind: "pypi", URL: "https://pypi.example/lantern/4.2.10"}}}, {Series: "5.0", Number: "5.0.3"}},
		Patches:  []disclosure.PatchBrief{{Name: "0001-rotate-session-4.2.patch", Series: "4.2", Size: 4312, SHA256: digest}, {Name: "0001-rotate-session-5.0.patch", Series: "5.0", Size: 4299, SHA256: digest}},
	}
}

func publicPages() []page {
	key := public.Key{Fingerprint: print1, UserID: "Lantern security team <security@lantern.example>", Expires: in(390 * day)}
	home := public.HomeView{Gate: document(ui.NavHome), Policy: policy(), Key: key, Applications: true}
	bare := home
	bare.Policy = &disclosure.Policy{Version: 1, Project: lamp, Contact: disclosure.Contact{Address: "security@lantern.example"}, Ack: disclosure.Ack{Within: disclosure.Span{WorkingDays: 3}, By: "any"}}
	bare.Key, bare.Applications = public.Key{}, false

	home.Demo = true
	report := public.ReportView{
		Gate: gate(ui.NavReport), Readers: "the five members of the security team", Answer: disclosure.Span{Hours: 48}, Key: key,
		MaxBytes: 25 << 20, Asks: []string{"threat-model", "ai-use", "exploited", "public", "deadline"}, Idempotency: "3f", Browser: true,
	}
	faulty := report
	faulty.Form = public.ReportForm{Versions: "4.2.9", Address: "ana@", Name: hostile}
	faulty.Faults = []disclosure.Fault{
		{Field: public.FieldDescription, Text: "Say what you found; a sentence is enough."},
		{Field: public.FieldAddress, Text: "This is not a whole mail address. Mend it, or leave it empty."},
		{Text: "The files together are over 25 MiB. Send less at once."},
	}
	lost := report
	lost.NotStored = true
	lost.Form = public.ReportForm{Description: "The next parameter is taken into the session before sign-in.\n\n" + hostile, Impact: "Whoever sends the link is signed in as the other."}
	secret := report
	secret.SecretKey = true

	code := []string{"lantern", "copper", "velvet", "orbit", "thimble", "granite", "willow", "ember"}
	receipt := public.ReceiptView{
		Gate: gate(ui.NavReport), Code: code, Received: now, Digest: digest, DigestOf: public.DigestOfDescription,
		Files:   []public.FileDigest{{Name: "poc.py", Size: 2210, SHA256: digest}},
		Readers: "the five members of the security team", Answer: disclosure.Span{Hours: 48}, Protection: disclosure.Protection{Encryption: disclosure.OnArrival},
	}
	browser := receipt
	browser.InBrowser, browser.Files, browser.DigestOf = true, nil, public.DigestOfMessage

	box := public.MailboxView{
		Gate: gate(ui.NavMailbox), Code: strings.Join(code, " "), Found: true, Status: "It is a vulnerability; we are working on the fix.", Planned: in(6*day + time.Hour),
		Items: []public.MailboxItem{
			{ID: "i1", Ours: true, At: ago(30 * time.Hour), Text: "Does this patch help?", Files: 1, FileList: []public.MailboxFile{{Name: "0001-fix.patch", Size: 812}}},
			{ID: "i2", Ours: true, Receipt: true, At: ago(31 * time.Hour), Text: "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\nReceived"},
			{ID: "i3", At: ago(31 * time.Hour), Size: 99, Digest: digest, Files: 1, FileList: []public.MailboxFile{{Name: "proof.txt", Size: 99, Digest: digest}}},
			{At: ago(3 * day), Size: 5120, Digest: digest, Files: 1},
			{Ours: true, At: ago(2 * day), Text: "Thank you. We can see it happen with 4.2.9.\n\nWould you like to be credited?\n" + hostile},
			{At: ago(day), Size: 140, Digest: digest},
		},
		Credit: disclosure.Credit{Wish: disclosure.CreditYes, Text: "Ana Marković of Beacon Labs"}, OwnKey: print2, Idempotency: "4a", Key: key, Browser: true, MaxBytes: 25 << 20,
	}
	nothing := public.MailboxView{Gate: gate(ui.NavMailbox), Code: strings.Join(code, " "), Idempotency: "4b", Key: key, MaxBytes: 25 << 20}
	wrong := box
	wrong.Faults = []disclosure.Fault{{Field: public.FieldText, Text: "Write something first."}, {Field: public.FieldCreditText, Text: "Say the words to print."}, {Field: public.FieldOwnKey, Text: "This is not an armored public key."}, {Field: public.FieldWithdraw, Text: "Tick the box if you mean it."}}
	added := box
	added.Added = &public.MailboxItem{At: now, Size: 812, Digest: digest}
	added.Withdrawn = ago(time.Hour)
	notAdded := nothing
	notAdded.NotStored = true

	bad := public.MailboxEnterView{Gate: gate(ui.NavMailbox), Code: "lantern coper velvet", Faults: []disclosure.Fault{{Field: public.FieldCode, Text: "The second word is not one of ours. Look at it again."}}}
	old := advisory()
	old.Name, old.Issue.CVE, old.Withdrawn, old.Issue.Text.Title = "LANTERN-2025-m2xz", "", ago(day), ""
	body := public.AdvisoryBody{
		Summary:     "<p>A link to the sign-in page can carry a session that its sender knows. Whoever signs in through it shares the session with the sender.</p>",
		Description: "<p>The <code>next</code> parameter was stored in the session before sign-in, and the session was not rotated.</p><h3>Since when</h3><p>Since 4.0.</p>",
		Impact:      "<p>Taking over the account of whoever follows the link.</p>",
		Workaround:  "<p>Set <code>SESSION_ROTATE = True</code>.</p>",
	}
	request := public.RequestView{Gate: gate(""), Groups: []ui.Option{{Value: "distributor", Label: "Operating system vendor or distribution"}, {Value: "maintainer", Label: "Package maintainer"}}, Announce: "announce@lantern.example", Answer: disclosure.Span{Days: 30}}
	asked := request
	asked.Faults = []disclosure.Fault{{Field: public.FieldGroup, Text: "Choose the group that fits."}, {Field: public.FieldAutomated, Text: "Say what happens to the mail automatically."}}
	paused := gate(ui.NavReport)
	paused.Paused = "We are moving; reports by mail are kept in order."

	return []page{
		{"gate-home", public.Home(home)}, {"gate-home-bare", public.Home(bare)},
		{"gate-report", public.Report(report)}, {"gate-report-faults", public.Report(faulty)}, {"gate-report-not-stored", public.Report(lost)}, {"gate-report-secret-key", public.Report(secret)},
		{"gate-receipt", public.Receipt(receipt)}, {"gate-receipt-browser", public.Receipt(browser)},
		{"gate-mailbox-invite", public.MailboxInvite(public.MailboxInviteView{Gate: gate(ui.NavMailbox), Token: "t", Idempotency: "k"})},
		{"gate-mailbox-made", public.MailboxInvite(public.MailboxInviteView{Gate: gate(ui.NavMailbox), Code: []string{"a", "b", "c", "d", "e", "f", "g", "h"}})},
		{"gate-mailbox-enter", public.MailboxEnter(public.MailboxEnterView{Gate: gate(ui.NavMailbox)})}, {"gate-mailbox-enter-fault", public.MailboxEnter(bad)},
		{"gate-mailbox", public.Mailbox(box)}, {"gate-mailbox-nothing", public.Mailbox(nothing)}, {"gate-mailbox-faults", public.Mailbox(wrong)}, {"gate-mailbox-added", public.Mailbox(added)}, {"gate-mailbox-not-stored", public.Mailbox(notAdded)},
		{"gate-upcoming", public.Upcoming(public.UpcomingView{Gate: document(ui.NavUpcoming), Items: []disclosure.UpcomingText{{At: in(6 * day), SentAt: ago(day), Subject: "Lantern security release on Tue 10 Feb 2026", Text: "Lantern 4.2.10 and 5.0.3 will be released on\nTuesday, 10 February 2026, around 15:00 UTC.\n\nThey fix one defect of severity high.\n" + hostile}}})},
		{"gate-upcoming-empty", public.Upcoming(public.UpcomingView{Gate: document(ui.NavUpcoming)})},
		{"gate-advisories", public.Advisories(public.AdvisoriesView{Gate: document(ui.NavAdvisories), Items: []disclosure.Advisory{advisory(), old}, Announce: "announce@lantern.example"})},
		{"gate-advisories-empty", public.Advisories(public.AdvisoriesView{Gate: document(ui.NavAdvisories)})},
		{"gate-advisory", public.Advisory(public.AdvisoryView{Gate: document(ui.NavAdvisories), Advisory: advisory(), Body: body, Timeline: []public.TimelineItem{{At: ago(90 * day), Text: "Reported by Ana Marković."}, {At: ago(30 * day), Text: "Published."}}})},
		{"gate-advisory-bare", public.Advisory(public.AdvisoryView{Gate: document(ui.NavAdvisories), Advisory: disclosure.Advisory{Name: "LANTERN-2026-zz2q", Version: 1, Published: ago(day), Withdrawn: now}})},
		{"gate-paused", public.Paused(public.PausedView{Gate: paused, Key: key})},
		{"gate-not-found", public.NotFound(public.NotFoundView{Gate: gate("")})},
		{"gate-error-503", public.Error(public.ErrorView{Gate: gate(""), Status: 503, RequestID: "7f3a-91bc", Retry: time.Minute})},
		{"gate-error-429", public.Error(public.ErrorView{Gate: gate(""), Status: 429, Retry: 5 * time.Minute})},
		{"gate-request", public.Request(request)}, {"gate-request-faults", public.Request(asked)},
	}
}
