package disclosure

import (
	"fmt"
	"strings"
)

// stateWords is what docs/lifecycle.md says about one state.
type stateWords struct{ todo, holds string }

var caseWords = map[CaseState]stateWords{
	Received:  {"A member has to acknowledge it.", "The clock of the first answer runs. An automatic receipt does not stop it."},
	Triage:    {"The team has to decide whether it is a vulnerability.", "Somebody acknowledged it; when and who is on record."},
	Accepted:  {"It has to be fixed and put into a release.", "The public name is reserved and told nobody."},
	Embargoed: {"It waits for the hour of its release.", "Exactly the cases of a release that has a date and is not over."},
	Disclosed: {"Nothing; the advisory is public.", "Exactly the cases of a published release. There is no way back."},
	Closed:    {"Nothing; the verdict says why.", "There is a verdict and a time of closing. Promises do not run."},
}

var releaseWords = map[ReleaseState]stateWords{
	Draft:     {"A date has to be set.", "There is no date, and its cases are accepted."},
	Scheduled: {"Notices have to be frozen, approved and sent.", "There is a date; every case is embargoed."},
	Notified:  {"The hour has to come; distributors know.", "At least one advance notice has left. No case is added."},
	Releasing: {"The day's runbook is under way.", "A releaser began it; the steps are taken in order."},
	Published: {"Nothing; the documents are public.", "Every case is disclosed, in the same transaction."},
	CalledOff: {"Nothing; its cases went back to accepted.", "No case points here. Who was told has a notice of it drafted."},
}

var noticeWords = map[NoticeState]stateWords{
	NoticeDraft:    {"The text has to be frozen.", "No bytes, no approval."},
	NoticeFrozen:   {"A releaser has to approve bytes and list.", "The exact bytes and their SHA-256; the release's generation."},
	NoticeApproved: {"It has to be sent.", "An approval of these bytes, this list and this generation."},
	NoticeSending:  {"Deliveries are being worked off.", "Each delivery is committed before it is attempted."},
	NoticeSent:     {"Nothing; every delivery has an outcome.", "The time it was finished."},
	NoticeCanceled: {"Nothing.", "Nothing of it leaves any more; what has left stays on record."},
}

type lifeArrow struct{ from, to, who, label string }

// Lifecycle writes docs/lifecycle.md from the maps that the rules themselves
// use: a diagram for each kind of thing, and what holds in, enters and leaves
// each of its states.
func Lifecycle() string {
	var b strings.Builder
	b.WriteString("# The life of a case, a release and a notice\n\n")
	b.WriteString("Generated from the arrows in `internal/disclosure`; `go test ./internal/disclosure -run Lifecycle -update` writes it again.\n")
	b.WriteString("An arrow that is not here does not exist: the step is refused with a sentence that says what to do instead.\n")

	var arrows []lifeArrow
	var states []string
	words := map[string]stateWords{}
	for _, from := range CaseStates {
		states, words[string(from)] = append(states, string(from)), caseWords[from]
		for _, to := range CaseStates {
			if a, ok := caseArrows[caseWay{from, to}]; ok {
				who := a.role.String()
				if a.release {
					who += ", through its release"
				}
				arrows = append(arrows, lifeArrow{string(from), string(to), who, a.label})
			}
		}
	}
	section(&b, "Case", states, words, arrows, string(Received), []string{string(Disclosed), string(Closed)})
	b.WriteString(tracks)

	arrows, states, words = nil, nil, map[string]stateWords{}
	for _, from := range ReleaseStates {
		states, words[string(from)] = append(states, string(from)), releaseWords[from]
		for _, to := range ReleaseStates {
			if a, ok := releaseArrows[releaseWay{from, to}]; ok {
				arrows = append(arrows, lifeArrow{string(from), string(to), a.role.String(), a.label})
			}
		}
	}
	section(&b, "Release", states, words, arrows, string(Draft), []string{string(Published), string(CalledOff)})
	b.WriteString(publishing)

	arrows, states, words = nil, nil, map[string]stateWords{}
	for _, from := range NoticeStates {
		states, words[string(from)] = append(states, string(from)), noticeWords[from]
		for _, to := range NoticeStates {
			if a, ok := noticeArrows[noticeWay{from, to}]; ok {
				arrows = append(arrows, lifeArrow{string(from), string(to), a.role.String(), a.label})
			}
		}
	}
	section(&b, "Notice", states, words, arrows, string(NoticeDraft), []string{string(NoticeSent), string(NoticeCanceled)})
	b.WriteString("\nPostponing, calling off, publishing and a passed deadline change notices too: what was frozen or approved is a draft again, what is being sent stops, what was to be told ahead of a published release is canceled.\n")
	return b.String()
}

const tracks = `
Tracks change the way:

| track | what is different |
|---|---|
| standard | nothing |
| public-fix | accepted → closed as fixed in public, while no supported release is affected; cannot be embargoed |
| infrastructure | accepted → closed as resolved; cannot be embargoed; no versions, patches or release |
| urgent | the lead may shrink to nothing, with a reason |
| upstream | a release without private notices; series, patches and remedy of our own are not asked for |
| no-fix | a release without private notices; an advisory without a patch |
`

const publishing = `
Publishing is allowed from *scheduled* where no distributor is to be told or the release is urgent, from *notified*, and from *releasing*; a policy with steps asks to begin the day first, unless the release is urgent.
It needs a fresh second factor, the release's name typed, the hour (or fifteen minutes before it), approved announcements, and a second member where the policy asks for one. No timer does it: the hour that has come tells the team.
`

func section(b *strings.Builder, name string, states []string, words map[string]stateWords, arrows []lifeArrow, first string, last []string) {
	id := func(s string) string { return strings.ReplaceAll(s, " ", "_") }
	fmt.Fprintf(b, "\n## %s\n\n```mermaid\nstateDiagram-v2\n", name)
	for _, s := range states {
		if id(s) != s {
			fmt.Fprintf(b, "    state \"%s\" as %s\n", s, id(s))
		}
	}
	fmt.Fprintf(b, "    [*] --> %s\n", id(first))
	for _, a := range arrows {
		fmt.Fprintf(b, "    %s --> %s: %s\n", id(a.from), id(a.to), a.label)
	}
	for _, s := range last {
		fmt.Fprintf(b, "    %s --> [*]\n", id(s))
	}
	b.WriteString("```\n\n| state | still to do | what holds | enters from | leaves to |\n|---|---|---|---|---|\n")
	for _, s := range states {
		var in, out []string
		for _, a := range arrows {
			if a.to == s {
				in = append(in, a.from)
			}
			if a.from == s {
				out = append(out, fmt.Sprintf("%s: %s (%s)", a.to, a.label, a.who))
			}
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s |\n", s, words[s].todo, words[s].holds, orDash(strings.Join(in, ", ")), orDash(strings.Join(out, "<br>")))
	}
}

func orDash(s string) string {
	if s == "" {
		return "–"
	}
	return s
}
