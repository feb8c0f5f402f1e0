package ui

// ApplicationTexts are the pages of applications: who asks to be told in advance.
type ApplicationTexts struct {
	Title        string // of the list
	One          string // tab title of one
	Name         string // "Application %d"
	None         string
	NoneMail     string
	NoneForm     string
	NoneClosed   string
	ListIntro    string
	Over         string
	ColDue       string
	ColState     string
	ColWho       string
	ColChannel   string
	ColProtected string
	ColAge       string
	ColHow       string
	NoClock      string
	Unread       string
	Attention    string

	Received    string
	Channel     string
	Who         string
	NameOf      string
	NoName      string
	Address     string
	Unproven    string
	KeyPrint    string
	NoKey       string
	Mailbox     string
	What        string
	NoMessages  string
	Answer      string
	SetAside    string
	SetAsideAs  string
	Reason      string
	ReasonHint  string
	NotAnswered string
	TakeUp      string
	AsideBy     string
	Enroll      string
	EnrollHint  string
	Report      string
	ReportHint  string
	IsReport    string
	Next        string
	Due         string
	DueNone     string
	Kept        string
	Letters     map[string]string
	NoKeyClear  string
	NoWayAtAll  string
	NoWaySafe   string
	NoWayNever  string
}

var englishApplication = ApplicationTexts{
	Title:        "Applications",
	One:          "Application",
	Name:         "Application %d",
	None:         "Nobody waits for a decision.",
	NoneMail:     "Mail to %s with the subject “%s” comes here.",
	NoneForm:     "So does the form at %s.",
	NoneClosed:   "The policy takes no applications: mail that asks is an ordinary report.",
	ListIntro:    "Who asks to be told in advance. Only admins see this; it is counted nowhere else.",
	Over:         "Decided",
	ColDue:       "Left",
	ColState:     "State",
	ColWho:       "Who asks",
	ColChannel:   "Came by",
	ColProtected: "Protection",
	ColAge:       "Age",
	ColHow:       "How it was decided",
	NoClock:      "The policy promises no date.",
	Unread:       "unread",
	Attention:    "attention",

	Received:    "Received",
	Channel:     "by %s",
	Who:         "Who asks",
	NameOf:      "Name as given",
	NoName:      "not given",
	Address:     "Address",
	Unproven:    "Not proven: anybody can write this.",
	KeyPrint:    "Key",
	NoKey:       "none known",
	Mailbox:     "Reads answers in a mailbox.",
	What:        "What was said",
	NoMessages:  "Nothing.",
	Answer:      "Answer %s",
	SetAside:    "Set it aside as answered",
	SetAsideAs:  "Set aside",
	Reason:      "How was it decided?",
	ReasonHint:  "Only admins read it. It sends nothing.",
	NotAnswered: "No answer was sent yet.",
	TakeUp:      "Take it up again",
	AsideBy:     "Set aside by %s",
	Enroll:      "Enroll as distributor",
	EnrollHint:  "Opens the form with name, address and key filled in. Nothing is enrolled yet.",
	Report:      "Make it a case",
	ReportHint:  "It is a vulnerability report: everything moves into a case of its own, and the promises to reporters count from when it came.",
	IsReport:    "It was a report, and goes on as case #%d.",
	Next:        "What to do",
	Due:         "What is due",
	DueNone:     "The policy promises no date.",
	Kept:        "Decided",
	Letters: map[string]string{
		"application-declined":   "Decline with the text of the policy",
		"application-incomplete": "Ask for what is missing",
		"ask-key":                "Ask for a key",
	},
	NoWayAtAll: "The applicant left no way to be answered.",
	NoWaySafe:  "We have no key of the applicant, and the policy lets only letters without detail travel unencrypted. Begin from one of the letters, or ask for a key.",
	NoWayNever: "We have no key of the applicant, and the policy lets nothing travel unencrypted.",
	NoKeyClear: "This will travel unencrypted: we have no key of the applicant.",
}
