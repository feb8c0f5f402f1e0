package web_test

import (
	"strings"
	"time"

	"postern/internal/disclosure"
	"postern/web/desk"
	"postern/web/ui"
)

func atDesk(current string) ui.Desk {
	return ui.Desk{Page: ui.Page{Now: now, Zone: vienna, Project: lamp}, Current: current, Member: "Mira Okafor", Roles: disclosure.Triager | disclosure.Releaser | disclosure.Admin}
}

func inDemo(current string) ui.Desk {
	d := atDesk(current)
	d.Demo, d.MoveTime = true, true
	d.Strips = []ui.Strip{
		{Kind: ui.StripLocked, Since: ago(3 * time.Hour), Count: 2, Href: desk.PathUnlock},
		{Kind: ui.StripHeld, Reason: "the database was restored.", Href: desk.PathHealth},
		{Kind: ui.StripPaused, Reason: "We are moving."},
	}
	return d
}

func alone() ui.Desk { return ui.Desk{Page: ui.Page{Now: now, Project: lamp}} }

func clock(name string, from, due time.Duration) *disclosure.Clock {
	return &disclosure.Clock{Name: name, Words: name, Started: now.Add(from), Due: now.Add(due)}
}

var (
	byForm = disclosure.Protection{Encryption: disclosure.OnArrival, Signature: disclosure.Unsigned, Integrity: disclosure.Whole}
	byKey  = disclosure.Protection{Encryption: disclosure.ToCurrentKey, Signature: disclosure.SignedUnknown, Integrity: disclosure.Whole, Signer: print2}
	broken = disclosure.Protection{Encryption: disclosure.Unopened, Signature: disclosure.SignedInvalid, Integrity: disclosure.PartOnly, Problem: "The key it is for is not here."}
	patch  = disclosure.File{ID: "f1", Label: "poc.py", Size: 2210, SHA256: digest, Added: ago(2 * day)}
)

func sampleCase() *disclosure.Case {
	return &disclosure.Case{
		ID: "c1", Number: 42, State: disclosure.Triage, Track: disclosure.Standard, Owner: "m1", OwnerName: "Mira Okafor", Channel: disclosure.ByForm, Protection: byKey,
		Received: ago(50 * time.Hour), Version: 7, Title: "Session fixation through the next parameter", Acknowledged: ago(40 * time.Hour), AcknowledgedBy: "Mira Okafor",
		Severity: disclosure.Severity{Level: "high"}, Affected: []disclosure.Affected{{Series: "4.2", Effect: disclosure.Affects, Versions: "before 4.2.10"}, {Series: "5.0", Effect: disclosure.Unaffected}},
		CVE: "CVE-2026-24817", PublicName: "LANTERN-2026-k7qd", Public: advisory().Issue.Text,
		Reporters: []disclosure.Reporter{
			{ID: "r1", Name: "Ana Marković", Mailbox: "x", Credit: disclosure.Credit{Wish: disclosure.CreditYes, Text: "Ana Marković of Beacon Labs"}},
			{ID: "r2", Address: "someone@elsewhere.example"},
		},
		Files:   []disclosure.File{patch, {ID: "f2", Label: "trace with a rather long name " + strings.Repeat("x", 60) + ".txt", Size: 120 << 10, SHA256: digest}},
		Release: &disclosure.CaseRelease{ID: "rel1", State: disclosure.Scheduled, At: in(6 * day)},
	}
}

func caseView() desk.CaseView {
	reporter := disclosure.Lane{Kind: disclosure.LaneReporter, ID: "r1"}
	second := disclosure.Lane{Kind: disclosure.LaneReporter, ID: "r2"}
	team := disclosure.Lane{Kind: disclosure.LaneTeam}
	message := func(id string, lane disclosure.Lane, state disclosure.MessageState, at time.Time, author, text string) disclosure.Message {
		return disclosure.Message{ID: disclosure.MessageID(id), Lane: lane, State: state, At: at, Author: author, Text: text, Protection: byForm}
	}
	first := desk.MessageView{Message: message("1", reporter, disclosure.MessageIn, ago(50*time.Hour), "Ana Marković", "The next parameter is taken into the session before sign-in.\n\n1. Open /sign-in?next=…\n2. Send the link.\n\n"+hostile), CaseFiles: []disclosure.File{patch}, OriginalHref: "/cases/42/originals/a1"}
	first.Protection = byKey
	strange := desk.MessageView{Message: message("6", second, disclosure.MessageIn, ago(20*time.Hour), "someone@elsewhere.example", "(not opened)"), OriginalHref: "/cases/42/originals/a2"}
	strange.Protection = broken
	waiting := desk.MessageView{Message: message("4", reporter, disclosure.MessageWaiting, ago(8*time.Second), "Mira Okafor", "We plan the release for Tuesday."), CanTakeBack: true}
	waiting.LeavesAt = in(22 * time.Second)
	return desk.CaseView{
		Desk: atDesk(ui.NavInbox), Case: sampleCase(),
		Clocks: []disclosure.Clock{*clock("first decision", -50*time.Hour, 6*time.Hour), {Words: "first answer", Started: ago(50 * time.Hour), Due: ago(2 * time.Hour), Kept: ago(40 * time.Hour)}},
		Lanes: []desk.LaneView{
			{Lane: team, Reader: "the team", Count: 1, Messages: []desk.MessageView{{Message: message("2", team, disclosure.MessageNote, ago(45*time.Hour), "Jon Varga", "I can see it happen. 5.0 rotates already.")}}},
			{Lane: reporter, Reader: "Ana Marković", Way: desk.WayMailbox, Count: 4, Messages: []desk.MessageView{
				first,
				{Message: message("3", reporter, disclosure.MessageOut, ago(40*time.Hour), "Mira Okafor", "Thank you. We are looking at it.")},
				waiting,
				{Message: message("5", reporter, disclosure.MessageBack, ago(30*time.Hour), "Mira Okafor", "Too early.")},
			}},
			{Lane: second, Reader: "someone@elsewhere.example", Way: desk.WayClear, Count: 1, Messages: []desk.MessageView{strange},
				Unencrypted: true, Offers: true, Letters: []ui.Option{{Value: "ask-key", Label: "may we have a key?"}}},
		},
		Likely:     []desk.LikelyCase{{Number: 17, Title: "Session kept across sign-in", Why: []string{"session", "next"}}},
		Earlier:    []desk.EarlierCase{{Number: 12, Title: hostile, State: disclosure.Closed, Verdict: disclosure.Spam, Received: ago(90 * day), Same: true, Who: "Ana Marković"}},
		MergedHere: []int{31}, Reasons: []ui.Option{{Value: "weak", Label: "documented as weak (not a vulnerability)"}},
		Events:   []disclosure.Event{{By: "Mira Okafor", At: ago(40 * time.Hour), Text: "acknowledged it"}, {At: ago(50 * time.Hour), Text: "arrived by web form"}},
		Members:  []ui.Option{{Value: "m1", Label: "Mira Okafor"}, {Value: "m2", Label: "Jon Varga"}},
		NextStep: desk.CaseStep{Do: desk.CaseMove, To: disclosure.Accepted, Label: "Accept as a vulnerability", Hint: "A public name is reserved."},
		Steps: []desk.CaseStep{
			{Do: desk.CaseMove, To: disclosure.Accepted, Label: "Accept as a vulnerability"},
			{Do: desk.CaseMove, To: disclosure.Received, Label: "Back to received", Why: "It was acknowledged."},
			{Do: desk.CaseClose, Label: "Close with a verdict"},
		},
		Series: []string{"4.2", "5.0", "main"}, Levels: []string{"high", "moderate", "low"}, CVSS: true, Refresh: "/cases/42/fragment/conversation",
	}
}

func sampleRelease() *disclosure.Release {
	return &disclosure.Release{
		ID: "rel1", State: disclosure.Scheduled, At: in(6 * day), Zone: "America/New_York", Version: 4, Title: "February fixes", Cases: []*disclosure.Case{sampleCase()},
		Versions: []disclosure.Version{{Series: "4.2", Number: "4.2.10"}},
		Patches:  []disclosure.Patch{{File: disclosure.File{ID: "p1", Size: 4312, SHA256: digest}, Series: "4.2", Name: "0001-rotate-session-4.2.patch"}},
		Steps:    []disclosure.Step{{Name: "Push the commits", Done: ago(time.Hour), By: "Jon Varga", Link: "https://lantern.example/commits"}, {Name: "Upload to the package index"}},
		Policy:   policy(),
	}
}

func sampleNotice(state disclosure.NoticeState) *disclosure.Notice {
	n := &disclosure.Notice{
		ID: "n1", Release: "rel1", Audience: disclosure.ToDistributors, State: state, SendAt: ago(day), Deadline: in(6 * day), Signer: disclosure.SignedByTeam,
		Subject: "Lantern security release on 9 February 2026", Text: "Dear distributors,\n\nLantern 4.2.10 will be released on Mon 9 Feb 2026, 15:04 UTC.\n\n" + hostile, Tally: map[disclosure.DeliveryState]int{disclosure.Delivered: 2, disclosure.Uncertain: 1, disclosure.Deferred: 1},
	}
	if state != disclosure.NoticeDraft {
		n.Digest = digest
		n.Approvals = []disclosure.Approval{{Name: "Jon Varga", At: ago(time.Hour)}}
	}
	return n
}

func ledgerRows() []desk.LedgerRow {
	return []desk.LedgerRow{
		{ID: "d1", Notice: "n1", Name: "Debian", State: disclosure.Delivered, Updated: ago(2 * time.Hour), Answered: ago(time.Hour)},
		{ID: "d2", Notice: "n1", Name: "Alpine", State: disclosure.Uncertain, Updated: ago(2 * time.Hour), Attempt: 2, Reply: "connection reset after the final dot"},
		{ID: "d3", Notice: "n1", Place: 3, State: disclosure.Deferred, Updated: ago(time.Hour), Reply: "451 4.7.1 try again"},
		{ID: "d4", Notice: "n1", Place: 4, State: disclosure.Rejected, Updated: ago(time.Hour), Reply: "550 5.1.1 no such user"},
		{ID: "d5", Notice: "n1", Place: 5, State: disclosure.Queued},
	}
}

func releaseView() desk.ReleaseView {
	return desk.ReleaseView{
		Desk: atDesk(ui.NavReleases), Release: sampleRelease(), CanRelease: true, Series: []string{"4.2", "5.0"}, Ledger: ledgerRows(), Refresh: "/releases/rel1/ledger",
		Line: []desk.Mark{
			{At: ago(3 * day), Words: "Dated", Done: true}, {At: ago(day), Words: "Notice to distributors", Late: true, Href: "/releases/rel1/notices/n1"},
			{At: in(3 * day), Words: "Pre-announcement"}, {At: in(6 * day), Words: "The hour", Hour: true},
		},
		Missing:    []desk.Missing{{Text: "Series 5.0 has no version.", Href: "/releases/rel1#versions", Link: "Set the version of 5.0", Blocks: "publishing"}, {Text: "Case #42 has no description for the public.", Href: "/cases/42#edit-text", Link: "Write it", Blocks: "sending"}, {Text: "The reporter of #42 has not answered about credit.", Href: "/cases/42", Link: "Ask"}},
		Notices:    []desk.NoticeRow{{ID: "n1", Audience: disclosure.ToDistributors, State: disclosure.NoticeSending, SentAt: ago(2 * time.Hour), Tally: sampleNotice(disclosure.NoticeSending).Tally}, {Audience: disclosure.ToAnnounceAhead, Missing: true}, {ID: "n3", Audience: disclosure.ToAnnounce, State: disclosure.NoticeDraft, SendAt: in(6 * day)}},
		Clocks:     []disclosure.Clock{*clock("advance notice", -6*day, -day)},
		Candidates: []ui.Option{{Value: "47", Label: "#47 Slow regular expression"}},
		Events:     []disclosure.Event{{By: "Jon Varga", At: ago(3 * day), Text: "set the date"}},
		NextStep:   desk.CaseStep{Do: "link", Label: "Mend what blocks sending", Href: "#missing"},
	}
}

func deskPages() []page {
	rows := []desk.CaseRow{
		{Number: 48, Title: "Path traversal in the static file view", State: disclosure.Received, Channel: disclosure.ByAPI, Protection: byKey, Received: ago(47 * time.Hour), Clock: clock("first answer", -47*time.Hour, -time.Hour), Unread: true},
		{Number: 49, State: disclosure.Received, Channel: disclosure.ByMail, Protection: broken, Received: ago(40 * time.Hour), Clock: clock("first answer", -40*time.Hour, 8*time.Hour), Attention: "The message could not be opened."},
		{Number: 42, Title: "Session fixation through the next parameter of the sign-in form", State: disclosure.Triage, Owner: "Mira Okafor", Channel: disclosure.ByForm, Protection: byForm, Received: ago(50 * time.Hour), Clock: clock("first decision", -50*time.Hour, 6*day), Level: "high"},
		{Number: 31, Title: hostile, State: disclosure.Embargoed, Owner: "Jon Varga", Channel: disclosure.ByForm, Protection: byForm, Received: ago(30 * day), Clock: clock("the hour", -7*day, 6*day), Level: "moderate", Restricted: true},
		{Number: 12, Title: "Cookie without a flag", State: disclosure.Closed, Verdict: disclosure.NotVulnerability, Owner: "Jon Varga", Channel: disclosure.ByMail, Protection: byForm, Received: ago(90 * day)},
	}
	tabs := []ui.Tab{{Label: "Open", Href: "/inbox", Count: 4, Current: true}, {Label: "received", Href: "/inbox?state=received", Count: 2}, {Label: "triage", Href: "/inbox?state=triage", Count: 1}, {Label: "embargoed", Href: "/inbox?state=embargoed", Count: 1}, {Label: "closed", Href: "/inbox?state=closed", Count: 31}}
	inbox := desk.InboxView{Desk: inDemo(ui.NavInbox), Tabs: tabs, Rows: rows, Owners: []ui.Option{{Value: "m1", Label: "Mira Okafor"}}, Levels: []string{"high", "low"}, Pager: ui.Pager{Older: "/inbox?after=x"}, Refresh: "/inbox/fragment"}
	quiet := inbox
	quiet.Desk = atDesk(ui.NavInbox)
	empty := desk.InboxView{Desk: atDesk(ui.NavInbox), Tabs: tabs, GateURL: "http://127.0.0.1:8080/"}
	none := empty
	none.Filters.Query = "nothing"

	all := caseView()
	lane := caseView()
	lane.Lane = disclosure.Lane{Kind: disclosure.LaneReporter, ID: "r1"}
	lane.Flash = "Title saved."
	wrong := caseView()
	wrong.Lanes[1].Draft = "We plan the release"
	wrong.Faults = []disclosure.Fault{{Field: desk.FieldVector, Text: "This is not a CVSS vector."}, {Field: desk.FieldVerdict, Text: "Choose a verdict."}, {Field: desk.ID("reply-r1", desk.FieldText), Text: "Write something first."}}
	fresh := desk.CaseView{Desk: atDesk(ui.NavInbox), Case: &disclosure.Case{Number: 50, State: disclosure.Received, Channel: disclosure.ByMail, Protection: broken, Received: now, Attention: "The message could not be opened."},
		Lanes: []desk.LaneView{{Lane: disclosure.Lane{Kind: disclosure.LaneTeam}}, {Lane: disclosure.Lane{Kind: disclosure.LaneReporter, ID: "r9"}, Reader: "the reporter", NoWay: "There is no address and no mailbox."}}, NextStep: desk.CaseStep{Do: desk.CaseAcknowledge, Label: "Acknowledge", Hint: "Stops the clock of the first answer."}}
	closed := caseView()
	closed.MergedInto, closed.MergedHere, closed.Case.Reporters[0].Withdrawn = 17, nil, ago(time.Hour)
	closed.Case.State, closed.Case.Verdict, closed.Case.VerdictNote, closed.ReadOnly = disclosure.Closed, disclosure.ThirdParty, "In the database driver.", true

	release := releaseView()
	draft := desk.ReleaseView{Desk: atDesk(ui.NavReleases), Release: &disclosure.Release{ID: "rel2", State: disclosure.Draft, Title: "March fixes"}, CanRelease: true, Series: []string{"4.2"}, Form: desk.PlanForm{At: "2026-03-10T10:00", Zone: "Europe/Vienna"}}
	draft.Faults = []disclosure.Fault{{Field: desk.FieldZone, Text: "No zone is called Europe/Viena."}}
	draft.Form.Zone = "Europe/Viena"
	dayOf := releaseView()
	dayOf.Release.State = disclosure.Releasing

	recipients := []desk.RecipientRow{{Name: "Debian", Address: "security@debian.example", Prints: []string{print1, print2}}, {Name: "Alpine", Address: "security@alpine.example", Problem: "The key expired on Mon 2 Feb 2026."}, {Name: "Slackware", Address: "sec@slackware.example", Clear: true}}
	edit := desk.NoticeView{Desk: atDesk(ui.NavReleases), Release: sampleRelease(), Notice: sampleNotice(disclosure.NoticeDraft), Form: desk.NoticeDraftForm{Subject: "Lantern security release", Text: sampleNotice(disclosure.NoticeDraft).Text}, Count: 3, CanRelease: true, Problems: []desk.Missing{{Text: "Alpine's key expired.", Href: "/distributors/a", Link: "Give a new key", Blocks: "sending"}}}
	frozen := edit
	frozen.Notice, frozen.Needed, frozen.Named, frozen.Recipients = sampleNotice(disclosure.NoticeFrozen), 2, true, recipients
	approved := frozen
	approved.Notice, approved.Problems, approved.Approved = sampleNotice(disclosure.NoticeApproved), nil, true
	sending := approved
	sending.Notice, sending.Ledger, sending.Refresh = sampleNotice(disclosure.NoticeSending), ledgerRows(), "/releases/rel1/notices/n1/ledger"

	bytes := "Content-Type: multipart/mixed; hp=\"cipher\"; boundary=\"b\"\r\nFrom: Lantern <security@lantern.example>\r\nSubject: Lantern security release\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nDear distributors,\r\n…\r\n--b--\r\n"
	send := desk.SendView{Desk: atDesk(ui.NavReleases), Release: sampleRelease(), Notice: sampleNotice(disclosure.NoticeApproved), Count: 3, Recipients: recipients, Named: true, ClearCount: 1, Bytes: bytes, Digest: digest, Size: 20480, Name: "February fixes"}
	before := send
	before.Named, before.Recipients, before.StepUp, before.DemoCode, before.Desk = false, nil, "/releases/rel1/notices/n1/send", "482 913", inDemo(ui.NavReleases)
	mistyped := send
	mistyped.Typed, mistyped.Faults = "february", []disclosure.Fault{{Field: desk.FieldTyped, Text: "Type the name exactly as it stands."}}
	blocked := send
	blocked.Problems = edit.Problems

	publish := desk.PublishView{Desk: atDesk(ui.NavReleases), Release: sampleRelease(), Name: "February fixes",
		Documents: []desk.DocumentRow{{Path: "/advisories/LANTERN-2026-k7qd", What: "Advisory", New: true, Title: "As it will read", Page: `<h3 class="as-h1">Session fixation</h3>`}, {Path: "/advisories", What: "Index"}, {Path: "/feed.atom", What: "Feed"}},
		Mails:     []desk.MailRow{{To: "announce@lantern.example", Subject: "Lantern 4.2.10 released", Text: "Lantern 4.2.10 …"}}, Credits: []string{"Ana Marković of Beacon Labs"}, Second: "Jon Varga confirmed at 14:02 UTC."}
	unready := publish
	unready.Problems, unready.Credits, unready.StepUp = releaseView().Missing[:1], nil, "/releases/rel1/publish"

	enrolled := disclosure.Distributor{ID: "x1", Name: "Debian", Address: "security@debian.example", Group: "distribution", Keys: []disclosure.RecipientKey{{Fingerprint: print1, Added: ago(90 * day), AddedBy: "Mira Okafor"}, {Fingerprint: print2, Added: ago(day), AddedBy: "Jon Varga", Problem: "It expired."}}, Enrolled: ago(90 * day)}
	list := []desk.DistributorRow{{ID: "x1", Name: "Debian", Address: "security@debian.example", Group: "distribution", Keys: 2, Enrolled: ago(90 * day)}, {ID: "x2", Name: "Alpine", Address: "security@alpine.example", Keys: 1, Problem: "expired", Enrolled: ago(9 * day)}, {ID: "x3", Name: "Slackware", Address: "sec@slackware.example", Clear: true, Enrolled: ago(9 * day)}}
	mail := desk.MailFile{Name: "ab12", At: ago(time.Hour), To: "security@debian.example", Subject: "...", Size: 24100}
	members := desk.MembersView{Desk: atDesk(ui.NavMembers), CanAdmin: true, Recipient: &desk.RecipientView{Now: "Jon Varga", Member: "m1", Delegate: "m2", CanSet: true, Members: []ui.Option{{Value: "m1", Label: "Mira Okafor"}, {Value: "m2", Label: "Jon Varga"}}}, Rows: []desk.MemberRow{
		{ID: "m1", Name: "Mira Okafor", Address: "mira@lantern.example", Roles: disclosure.Triager | disclosure.Admin, LastSeen: ago(time.Minute), Key: print1, You: true},
		{ID: "m2", Name: "Jon Varga", Address: "jon@lantern.example", Roles: disclosure.Releaser, LastSeen: ago(3 * day), Disabled: true},
		{ID: "m3", Name: "Ida Lund", Address: "ida@lantern.example", Roles: disclosure.Auditor, Invited: true},
	}, Link: "http://127.0.0.1:8081/invite/" + strings.Repeat("q7", 21), LinkFor: "Ida Lund", LinkEnds: in(2 * day)}
	memberFault := members
	memberFault.Link = ""
	memberFault.Faults = []disclosure.Fault{{Field: desk.FieldAddress, Text: "This is not a mail address."}, {Field: desk.ID("invite", desk.FieldRole), Text: "Tick at least one role."}}
	log := desk.LogView{Desk: atDesk(ui.NavLog), Whole: "1,204 lines, unbroken", Rows: []desk.LogRow{{Number: 1204, At: ago(time.Hour), Actor: "Mira Okafor", Kind: "opened", About: "case #42", Href: "/cases/42"}, {Number: 1203, At: ago(2 * time.Hour), Kind: "delivery", About: "release", Text: "sent to recipient 3"}}, Actors: []ui.Option{{Value: "m1", Label: "Mira Okafor"}}, Pager: ui.Pager{Newer: "/log", Older: "/log?before=1"}}
	health := desk.HealthView{Desk: atDesk(ui.NavHealth), Checked: ago(time.Minute), Findings: []desk.Finding{{Level: "fault", What: "The signing subkey expires in 9 days.", Why: "Notices sent after that are not valid.", Mend: "postern key renew"}, {Level: "warning", What: "Only one slot opens the vault.", Mend: "postern vault add"}, {Level: "ok", What: "The database answers, its schema is current."}},
		Held: &desk.HeldView{Since: ago(time.Hour), Reason: "The database was restored.", Would: []string{"send 2 notices", "ask about 3 deliveries"}, CanLet: true, Confirm: "Lantern"}}
	account := desk.AccountView{Desk: atDesk(ui.NavAccount), Name: "Mira Okafor", Address: "mira@lantern.example", Zone: "Europe/Vienna", Zones: []string{"Europe/Vienna", "America/New_York"}, Key: print1,
		Alerts:   []desk.AlertChoice{{Kind: disclosure.AlertReport, Label: "a new report", Wanted: true}, {Kind: disclosure.AlertBreach, Label: "a broken promise", Wanted: true}, {Kind: disclosure.AlertHalf, Label: "half of a promise's time"}},
		Sessions: []desk.SessionRow{{ID: "s1", Since: ago(2 * time.Hour), Seen: now, Agent: "Firefox on Linux", Current: true}, {ID: "s2", Since: ago(50 * time.Hour), Seen: ago(9 * time.Hour), Agent: "Safari on iPhone"}}}
	text := "[project]\nname = \"Lantern\"\n\n[ack]\nwithin = \"48h\"\nby = \"member\"\n"
	checked := desk.PolicyView{Desk: atDesk(ui.NavPolicy), Version: 3, Since: ago(20 * day), By: "Mira Okafor", Text: text, CanApply: true, Checked: true, Changes: []string{"The first answer is promised within 24 hours instead of 48."}}
	faulty := desk.PolicyView{Desk: atDesk(ui.NavPolicy), Paused: "We are flooded.", Version: 3, Text: text, CanApply: true}
	faulty.Faults = []disclosure.Fault{{Field: desk.FieldPolicy, Text: "Line 5: no key is called wihin; did you mean within?"}, {Field: desk.FieldPolicy, Text: "Line 9: contact.address is missing."}}
	signIn := desk.SignInView{Desk: alone(), DemoCode: "482 913"}
	signIn.Demo = true
	refused := desk.SignInView{Desk: alone(), Name: "mira"}
	refused.Faults = []disclosure.Fault{{Text: "Name, password or code is wrong. Try again with a fresh code."}}
	invite := desk.InviteView{Desk: alone(), Action: "/invite/q7q7", Name: "Ida Lund", Roles: disclosure.Auditor, Secret: "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP", OTPAuth: "otpauth://totp/Lantern:ida?secret=JBSWY3DPEHPK3PXP&issuer=Lantern"}
	uninvited := invite
	uninvited.Faults = []disclosure.Fault{{Field: desk.FieldPassword, Text: "At least 12 characters."}, {Field: desk.FieldCode, Text: "The code does not match. Is the device's time right?"}}
	locked := desk.UnlockView{Desk: alone(), Since: ago(11 * time.Hour)}
	wrongPass := locked
	wrongPass.Faults = []disclosure.Fault{{Field: desk.FieldPass, Text: "No slot opens with this passphrase."}}
	stepUp := desk.StepUpView{Desk: inDemo(ui.NavReleases), Purpose: "to send the notice", Next: "/x", DemoCode: "482 913"}
	vault := desk.VaultView{Desk: atDesk(ui.NavVault), CanAdmin: true, Fingerprint: digest, Recovery: "lantern copper velvet orbit thimble granite willow ember", Members: []ui.Option{{Value: "1", Label: "Mira Okafor"}}, Slots: []desk.SlotRow{{ID: "1", Kind: "passphrase", Label: "Mira Okafor", Member: "1", MemberName: "Mira Okafor", Made: ago(90 * day)}, {ID: "2", Kind: "recovery phrase", Label: "safe", Made: ago(90 * day)}}}
	figures := desk.FiguresView{Desk: atDesk(ui.NavInbox), Rows: []desk.FigureRow{
		{Period: "2026", Received: 14, Open: 5, Published: 3, Rejected: 3, FiledPublicly: 2, Median: 7 * time.Hour, Answered: 12, InTime: 11, Due: 12,
			Verdicts: []desk.FigureCount{{Words: "not a vulnerability", N: 3}, {Words: "please file publicly", N: 2}, {Words: "duplicate of another report", N: 1}}},
		{Period: "2025", Received: 1, Open: 1}}}
	single := desk.VaultView{Desk: atDesk(ui.NavVault), Fingerprint: digest, Slots: []desk.SlotRow{{ID: "1", Kind: "passphrase", Label: "Mira Okafor", Made: ago(90 * day), Last: true}}}

	return []page{
		{"desk-sign-in", desk.SignIn(signIn)}, {"desk-sign-in-refused", desk.SignIn(refused)},
		{"desk-invite", desk.Invite(invite)}, {"desk-invite-faults", desk.Invite(uninvited)}, {"desk-invite-gone", desk.Invite(desk.InviteView{Desk: alone(), Gone: true})},
		{"desk-unlock", desk.Unlock(locked)}, {"desk-unlock-fault", desk.Unlock(wrongPass)}, {"desk-step-up", desk.StepUp(stepUp)},
		{"desk-inbox", desk.Inbox(quiet)}, {"desk-inbox-strips", desk.Inbox(inbox)}, {"desk-inbox-empty", desk.Inbox(empty)}, {"desk-inbox-no-match", desk.Inbox(none)},
		{"desk-case", desk.Case(all)}, {"desk-case-lane", desk.Case(lane)}, {"desk-case-faults", desk.Case(wrong)}, {"desk-case-new", desk.Case(fresh)}, {"desk-case-closed", desk.Case(closed)},
		{"desk-file", desk.CaseFile(desk.CaseFileView{Desk: atDesk(ui.NavInbox), Number: 42, Title: "Session fixation", File: patch, Text: "import requests\n" + hostile})},
		{"desk-file-too-big", desk.CaseFile(desk.CaseFileView{Desk: atDesk(ui.NavInbox), Number: 42, File: patch, TooBig: true})},
		{"desk-releases", desk.Releases(desk.ReleasesView{Desk: atDesk(ui.NavReleases), CanPlan: true, Cases: []ui.Option{{Value: "42", Label: "#42 Session fixation"}}, Rows: []desk.ReleaseRow{{ID: "rel1", Title: "February fixes", State: disclosure.Scheduled, At: in(6 * day), Cases: 2, Missing: 3}, {ID: "rel2", Title: "March fixes", State: disclosure.Draft, Cases: 1}}})},
		{"desk-releases-empty", desk.Releases(desk.ReleasesView{Desk: atDesk(ui.NavReleases)})},
		{"desk-release", desk.Release(release)}, {"desk-release-draft", desk.Release(draft)}, {"desk-release-day", desk.Release(dayOf)},
		{"desk-notice-draft", desk.Notice(edit)}, {"desk-notice-frozen", desk.Notice(frozen)}, {"desk-notice-approved", desk.Notice(approved)}, {"desk-notice-sending", desk.Notice(sending)},
		{"desk-preview", desk.Preview(desk.PreviewView{Desk: atDesk(ui.NavReleases), Release: sampleRelease(), Notice: sampleNotice(disclosure.NoticeDraft), Bytes: bytes, Cut: true, Digest: digest, Size: 20480, Patches: advisory().Patches})},
		{"desk-send", desk.Send(send)}, {"desk-send-step-up", desk.Send(before)}, {"desk-send-mistyped", desk.Send(mistyped)}, {"desk-send-blocked", desk.Send(blocked)},
		{"desk-publish", desk.Publish(publish)}, {"desk-publish-unready", desk.Publish(unready)},
		{"desk-postpone", desk.Postpone(desk.PostponeView{Desk: atDesk(ui.NavReleases), Release: sampleRelease(), Form: desk.PlanForm{At: "2026-02-12T10:00", Zone: "America/New_York"}, Told: []string{"3 distributors", "the reporter of #42"}, Queued: 12})},
		{"desk-call-off", desk.CallOff(desk.CallOffView{Desk: atDesk(ui.NavReleases), Release: sampleRelease(), Name: "February fixes"})},
		{"desk-distributors", desk.Distributors(desk.DistributorsView{Desk: atDesk(ui.NavDistributors), Rows: list, Revoked: []desk.DistributorRow{{ID: "x9", Name: "Gone", Address: "x@y.example", Enrolled: ago(90 * day), Revoked: ago(day)}}})},
		{"desk-distributors-empty", desk.Distributors(desk.DistributorsView{Desk: atDesk(ui.NavDistributors)})}, {"desk-distributors-step-up", desk.Distributors(desk.DistributorsView{Desk: atDesk(ui.NavDistributors), StepUp: "/distributors", Count: 3})},
		{"desk-applications", desk.Applications(applicationList())}, {"desk-applications-empty", desk.Applications(desk.ApplicationsView{Desk: atDesk(ui.NavApplications), MailTo: "security@lantern.example", Subject: "Security notification request", FormURL: "https://lantern.example/notifications/request"})},
		{"desk-applications-none", desk.Applications(desk.ApplicationsView{Desk: atDesk(ui.NavApplications)})},
		{"desk-application", desk.Application(applicationView(disclosure.ApplicationReceived, desk.WayClear))}, {"desk-application-answered", desk.Application(applicationView(disclosure.ApplicationAnswered, desk.WayNone))},
		{"desk-application-report", desk.Application(applicationView(disclosure.ApplicationReport, desk.WayMailbox))},
		{"desk-distributor", desk.Distributor(desk.DistributorView{Desk: atDesk(ui.NavDistributors), Distributor: enrolled, Groups: []string{"distribution"}, Live: []string{"February fixes"}})}, {"desk-distributor-new", desk.Distributor(desk.DistributorView{Desk: atDesk(ui.NavDistributors), KeyText: pasted})},
		{"desk-outbox", desk.Outbox(desk.OutboxView{Desk: atDesk(ui.NavOutbox), Rows: []desk.MailFile{mail}})}, {"desk-outbox-empty", desk.Outbox(desk.OutboxView{Desk: atDesk(ui.NavOutbox), Relay: "mx.lantern.example"})},
		{"desk-mail", desk.Mail(desk.MailView{Desk: atDesk(ui.NavOutbox), Mail: mail, Text: bytes, Cut: true})},
		{"desk-members", desk.Members(members)}, {"desk-members-faults", desk.Members(memberFault)}, {"desk-log", desk.Log(log)}, {"desk-log-empty", desk.Log(desk.LogView{Desk: atDesk(ui.NavLog)})},
		{"desk-health", desk.Health(health)}, {"desk-account", desk.Account(account)}, {"desk-policy", desk.Policy(checked)}, {"desk-policy-faults", desk.Policy(faulty)},
		{"desk-figures", desk.Figures(figures)}, {"desk-figures-none", desk.Figures(desk.FiguresView{Desk: atDesk(ui.NavInbox), Quarters: true})},
		{"desk-vault", desk.Vault(vault)}, {"desk-vault-one", desk.Vault(single)},
		{"desk-not-found", desk.NotFound(desk.NotFoundView{Desk: atDesk("")})}, {"desk-error-409", desk.Error(desk.ErrorView{Desk: atDesk(""), Status: 409, Back: "/cases/42"})}, {"desk-error-500", desk.Error(desk.ErrorView{Desk: atDesk(""), Status: 500, RequestID: "7f3a-91bc"})},
	}
}

func applicationList() desk.ApplicationsView {
	return desk.ApplicationsView{Desk: atDesk(ui.NavApplications),
		Open: []desk.ApplicationRow{
			{Number: 3, Who: "Harbor OS", Address: "vendor@harbor.example", State: disclosure.ApplicationReceived, Channel: disclosure.ByMail, Protection: byKey, Received: ago(31 * day), Clock: clock("our decision", -31*day, -day), Attention: "It could not be read."},
			{Number: 4, Who: hostile, State: disclosure.ApplicationReceived, Channel: disclosure.ByForm, Protection: byForm, Received: ago(day), Unread: true},
		},
		Over: []desk.ApplicationRow{
			{Number: 2, Who: "noor@drift.example", Address: "noor@drift.example", State: disclosure.ApplicationAnswered, Received: ago(60 * day), Reason: "Too small. " + hostile},
			{Number: 1, Who: "Finn", State: disclosure.ApplicationReport, Received: ago(70 * day), Case: 42},
		},
	}
}

func applicationView(state disclosure.ApplicationState, way desk.Way) desk.ApplicationView {
	a := &disclosure.Application{ID: "a1", Number: 3, State: state, Channel: disclosure.ByMail, Protection: broken, Received: ago(31 * day), Version: 4,
		Applicant: disclosure.Reporter{ID: "r1", Name: hostile, Address: "vendor@harbor.example", KeyPrint: print2}}
	v := desk.ApplicationView{Desk: atDesk(ui.NavApplications), Application: a, Clocks: []disclosure.Clock{*clock("our decision", -31*day, -day)},
		Lane:   desk.LaneView{Lane: a.Lane(), Reader: hostile, Way: way, Unencrypted: way != desk.WayMailbox, Letters: []ui.Option{{Value: "application-declined", Label: "Decline"}}},
		Events: []disclosure.Event{{Kind: disclosure.EventArrived, By: "intake", At: ago(31 * day), Text: "Came mail"}}}
	switch state {
	case disclosure.ApplicationReceived:
		a.Attention, a.Applicant.KeyPrint = "It could not be read: "+hostile, ""
	case disclosure.ApplicationAnswered:
		a.Reason, a.DecidedBy, v.Lane.NoWay, v.Lane.Draft = "Too small. "+hostile, "Mira Okafor", "The policy lets nothing travel unencrypted.", "Typed and kept."
	case disclosure.ApplicationReport:
		a.Case, v.Clocks = 42, nil
	}
	in := disclosure.Message{ID: "1", Lane: a.Lane(), State: disclosure.MessageIn, At: ago(31 * day), Author: hostile, Text: "We ship it.\n" + hostile, Protection: broken, Checked: []string{"dkim=pass"}}
	out := disclosure.Message{ID: "2", Lane: a.Lane(), State: disclosure.MessageWaiting, At: ago(8 * time.Second), LeavesAt: in22(), Author: "Mira Okafor", Text: "Who reads it?"}
	v.Lane.Messages = []desk.MessageView{
		{Message: in, CaseFiles: []disclosure.File{patch}, FilesAt: "/applications/3/files", OriginalHref: "/applications/3/originals/a1"},
		{Message: out, Reader: hostile, CanTakeBack: true, TakeBackAt: "/applications/3/take-back"},
	}
	return v
}

func in22() time.Time { return now.Add(22 * time.Second) }
