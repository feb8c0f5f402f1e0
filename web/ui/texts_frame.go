package ui

// CommonTexts is what both doors say..
type CommonTexts struct {
	Skip        string
	YourTime    string
	InTime      string
	Ago         string
	Now         string
	Minute      string
	Minutes     string
	Hour        string
	Hours       string
	Day         string
	Days        string
	WorkingDay  string
	WorkingDays string
	Weekdays    []string
	Months      []string
	Optional    string
	FaultOne    string
	FaultMany   string
	Fault       string
	Newer       string
	Older       string
	Pages       string
	Views       string
	Bytes       string
	Fingerprint string
	Demo        string
	DemoCode    string
	None        string
	Never       string
	And         string
	Copy        string
	Copied      string
	Request     string
	LevelNone   string
}

// GateTexts is the frame of the gate..
type GateTexts struct {
	Room       string
	Nav        string
	Policy     string
	Report     string
	Mailbox    string
	Upcoming   string
	Advisories string
	Key        string
	Feed       string
	Paused     string
	Demo       string
	NoScript   string
}

// DeskTexts is the frame of the desk..
type DeskTexts struct {
	Room         string
	Nav          string
	Inbox        string
	Releases     string
	Distributors string
	Applications string
	Outbox       string
	Health       string
	Members      string
	Log          string
	Policy       string
	Vault        string
	Account      string
	SignOut      string
	PrintMark    string
	Overdue      string
	StripLocked  string
	Since        string
	Waits        string
	WaitsOne     string
	StripHeld    string
	StripPaused  string
	StripMend    string
	DemoNow      string
	DemoMove     string
	DemoHour     string
	DemoDay      string
	DemoWeek     string
	DemoTo       string
	DemoGo       string
	Keys         string
	KeysMove     string
	KeysOpen     string
	KeysUp       string
	KeysSearch   string
	KeysShow     string
	KeysNote     string
	KeysClose    string
	Save         string
	Cancel       string
	Nobody       string
	NotFound     string
	NotFoundText string
	ToInbox      string
	Choose       string
	Step         string
	StepLink     string
	Problems     string
	Digest       string
	Shape        string
	Size         string
	Actions      string
	Cut          string
	Type         string
	Shown        string
}

// GateErrorTexts is what the gate says when something is not there or went wrong..
type GateErrorTexts struct {
	NotFound      string
	NotFoundText  string
	Home          string
	Bad           string
	BadText       string
	Forbidden     string
	ForbiddenText string
	Method        string
	TooBig        string
	TooBigText    string
	Slow          string
	SlowText      string
	Down          string
	DownText      string
	Wrong         string
	WrongText     string
	Retry         string
	Still         string
}

// DeskErrorTexts is what the desk says when something went wrong..
type DeskErrorTexts struct {
	Bad           string
	BadText       string
	Forbidden     string
	ForbiddenText string
	Conflict      string
	ConflictText  string
	TooBig        string
	Slow          string
	Down          string
	DownText      string
	Wrong         string
	WrongText     string
	Back          string
}

var englishCommon = CommonTexts{
	Skip:        "Skip to the content",
	YourTime:    "your time",
	InTime:      "in %s",
	Ago:         "%s ago",
	Now:         "now",
	Minute:      "1 minute",
	Minutes:     "%d minutes",
	Hour:        "1 hour",
	Hours:       "%d hours",
	Day:         "1 day",
	Days:        "%d days",
	WorkingDay:  "1 working day",
	WorkingDays: "%d working days",
	Weekdays:    []string{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"},
	Months:      []string{"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"},
	Optional:    "optional",
	FaultOne:    "One thing is missing or wrong",
	FaultMany:   "%d things are missing or wrong",
	Fault:       "Error:",
	Newer:       "Newer",
	Older:       "Older",
	Pages:       "Pages",
	Views:       "Views",
	Bytes:       "%d bytes",
	Fingerprint: "Fingerprint",
	Demo:        "DEMO",
	DemoCode:    "The current code is %s.",
	None:        "none",
	Never:       "never",
	And:         "and",
	Copy:        "Copy",
	Copied:      "Copied",
	Request:     "Request",
	LevelNone:   "not set",
}

var englishGate = GateTexts{
	Room:       "Security of %s",
	Nav:        "Pages",
	Policy:     "Policy",
	Report:     "Report",
	Mailbox:    "Mailbox",
	Upcoming:   "Upcoming",
	Advisories: "Advisories",
	Key:        "Our public key",
	Feed:       "Atom feed of advisories",
	Paused:     "Reports are paused.",
	Demo:       "This is a demo. Nothing here is real.",
	NoScript:   "This page works without scripts.",
}

var englishDesk = DeskTexts{
	Room:         "Desk",
	Nav:          "Desk",
	Inbox:        "Inbox",
	Releases:     "Releases",
	Distributors: "Distributors",
	Applications: "Applications",
	Outbox:       "Outbox",
	Health:       "Health",
	Members:      "Members",
	Log:          "Log",
	Policy:       "Policy",
	Vault:        "Vault",
	Account:      "Account",
	SignOut:      "Sign out",
	PrintMark:    "Confidential. Printed for %s.",
	Overdue:      "overdue",
	StripLocked:  "Locked",
	Since:        "since",
	Waits:        "%s reports wait.",
	WaitsOne:     "1 report waits.",
	StripHeld:    "Held:",
	StripPaused:  "Intake is paused:",
	StripMend:    "Mend this",
	DemoNow:      "You are in the demo. It is",
	DemoMove:     "Move time forward:",
	DemoHour:     "1 hour",
	DemoDay:      "1 day",
	DemoWeek:     "7 days",
	DemoTo:       "To this date and time, UTC",
	DemoGo:       "Go there",
	Keys:         "Keys",
	KeysMove:     "next and previous line",
	KeysOpen:     "open the line",
	KeysUp:       "back to the list",
	KeysSearch:   "search",
	KeysShow:     "show these keys",
	KeysNote:     "Nothing that leaves the house has a single key.",
	KeysClose:    "Close",
	Save:         "Save",
	Cancel:       "Go back",
	Nobody:       "nobody",
	NotFound:     "There is nothing here",
	NotFoundText: "The address is wrong, or what it names is not yours to see.",
	ToInbox:      "Go to the inbox",
	Choose:       "Choose one",
	Step:         "To go on you have to confirm with your second factor.",
	StepLink:     "Confirm with your second factor",
	Problems:     "What stands in the way",
	Digest:       "SHA-256",
	Shape:        "The bytes",
	Size:         "Size",
	Actions:      "Actions",
	Cut:          "The rest is not shown here. The digest is of the whole.",
	Type:         "Type %s to go on",
	Shown:        "Refreshed every two seconds while this page is open.",
}

var englishGateError = GateErrorTexts{
	NotFound:      "There is nothing here",
	NotFoundText:  "The address is wrong, or what it named is not public.",
	Home:          "Go to the policy",
	Bad:           "That could not be read",
	BadText:       "What was sent is not what this page expects. Go back and try again.",
	Forbidden:     "That came from another site",
	ForbiddenText: "Forms are taken from our own pages alone. Open the page here and try again.",
	Method:        "That is not how this address is used",
	TooBig:        "That is too big",
	TooBigText:    "Send less at once, or tell us in a short report that there is more.",
	Slow:          "Slower, please",
	SlowText:      "Many requests came from your network. Nothing was lost; try again in a moment.",
	Down:          "Not stored",
	DownText:      "Something on our side did not answer. Nothing was stored. Go back, your text should still be there, and try again.",
	Wrong:         "Something went wrong on our side",
	WrongText:     "It is noted. Try again in a moment.",
	Retry:         "Try again in %s.",
	Still:         "If it goes on, write to %s.",
}

var englishDeskError = DeskErrorTexts{
	Bad:           "That could not be read",
	BadText:       "What was sent is not what this page expects.",
	Forbidden:     "Your roles do not allow this",
	ForbiddenText: "Ask an admin, or somebody who may.",
	Conflict:      "Somebody was quicker",
	ConflictText:  "It changed since you looked. Nothing of yours was saved; look again and repeat the step.",
	TooBig:        "That is too big",
	Slow:          "Slower, please",
	Down:          "Not saved",
	DownText:      "The database did not answer. Nothing was saved. Go back and try again.",
	Wrong:         "Something went wrong",
	WrongText:     "It is in the program's log under the number below. Try again.",
	Back:          "Go back",
}
