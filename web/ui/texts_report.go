package ui

// HomeTexts is the policy page..
type HomeTexts struct {
	Roster          string
	Title           string
	Short           string
	ShortTell       string
	ShortWho        string
	ShortAck        string
	ShortAckText    string
	ShortAckAny     string
	ShortAccount    string
	Button          string
	NotPublic       string
	What            string
	WhatGeneral     string
	Not             string
	Who             string
	WhoText         string
	WhoTeam         string
	Soon            string
	SoonAny         string
	Next            string
	NextGeneral     string
	NextDate        string
	NextCredit      string
	Encrypt         string
	EncryptText     string
	EncryptOwner    string
	EncryptExpires  string
	EncryptGet      string
	EncryptClear    string
	Supported       string
	SeriesName      string
	SeriesUntil     string
	SeriesUntilOpen string
	SeriesBranch    string
	SeriesYes       string
	SeriesNo        string
	How             string
	HowLead         string
	HowAhead        string
	HowAnnounce     string
	HowOSS          string
	HowLevels       string
	HowPlace        string
	Harbor          string
	Apply           string
	ApplyText       string
	ApplyLink       string
	Version         string
	VersionOnly     string
	Effective       string
}

// ReportTexts is the report form..
type ReportTexts struct {
	Title           string
	Who             string
	WhoText         string
	WhoGeneral      string
	Soon            string
	SoonText        string
	Next            string
	NextGeneral     string
	Need            string
	NeedText        string
	Description     string
	DescriptionHint string
	Versions        string
	VersionsHint    string
	Reproduce       string
	ReproduceHint   string
	Impact          string
	ImpactHint      string
	Address         string
	AddressHint     string
	AddressSealed   string // where no mail goes out unencrypted
	Files           string
	FilesHint       string
	More            string
	Name            string
	NameHint        string
	OwnKey          string
	OwnKeyHint      string
	AskThreat       string
	AskAI           string
	AskExploited    string
	AskPublic       string
	AskDeadline     string
	Button          string
	Sealed          string
	SealedOld       string
	BrowserReady    string
	Draft           string
	DraftHint       string
	DraftOn         string
	DraftBack       string
	DraftForget     string
	DraftForgotten  string
	DraftFailed     string
	NotStored       string
	NotStoredText   string
	NotStoredFiles  string
	Again           string
	SecretTitle     string
	SecretText      string
	Key             string
	KeyDownload     string
	Other           string
}

// ReceiptTexts is the receipt..
type ReceiptTexts struct {
	Title             string
	Once              string
	OnceText          string
	Code              string
	Copy              string
	Print             string
	Save              string
	Copied            string
	Saved             string
	CopyFailed        string
	Kept              string
	KeepFirst         string
	KeepPlain         string
	FileName          string
	What              string
	Received          string
	DigestMessage     string
	DigestDescription string
	DigestFile        string
	Protection        string
	ProtectionBrowser string
	ProtectionKey     string
	ProtectionRetired string
	ProtectionUnknown string
	ProtectionSealed  string
	Next              string
	NextWho           string
	NextSoon          string
	NextHow           string
	Open              string
	OpenHint          string
	Where             string
}

// PausedTexts is the answer to a report while intake is paused..
type PausedTexts struct {
	Title string
	Text  string
	Back  string
}

// RequestTexts is asking for advance notification..
type RequestTexts struct {
	Title            string
	Intro            string
	Decide           string
	Who              string
	Name             string
	Organization     string
	OrganizationHint string
	Role             string
	Address          string
	Why              string
	Group            string
	Criterion        string
	CriterionHint    string
	Need             string
	List             string
	ListAddress      string
	ListAddressHint  string
	Reviewers        string
	Automated        string
	AutomatedHint    string
	Key              string
	KeyHint          string
	Button           string
	Choose           string

	IntroList         string
	DecideAny         string
	Missing           string
	NoAddress         string
	OrganizationOrKey string
	Stored            string
	OnceText          string
}

var englishHome = HomeTexts{
	Roster:          "The members of the team",
	Title:           "How to report a vulnerability in %s",
	Short:           "In short",
	ShortTell:       "Tell us privately, by the form or by mail to",
	ShortWho:        "Read by",
	ShortAck:        "First answer",
	ShortAckText:    "from a member of the team, within %s",
	ShortAckAny:     "within %s",
	ShortAccount:    "No account needed. You may stay anonymous.",
	Button:          "Report a vulnerability",
	NotPublic:       "Please do not open a public issue about it.",
	What:            "What to report",
	WhatGeneral:     "Anything in %s by which somebody can do what they should not be able to. If you are not sure, report it here.",
	Not:             "What is not a vulnerability",
	Who:             "Who reads it, and how soon",
	WhoText:         "Your report is read by %s. Nobody else sees it.",
	WhoTeam:         "the security team",
	Soon:            "A member of the team answers within %s. An automatic receipt does not count as an answer.",
	SoonAny:         "We answer within %s.",
	Next:            "What happens next",
	NextGeneral:     "We confirm what we received, decide whether it is a vulnerability, and tell you. You can follow and answer through a mailbox that needs no account.",
	NextDate:        "When a release is planned we tell you the date.",
	NextCredit:      "We ask whether you want to be credited, and with which words. Without your yes you are not named.",
	Encrypt:         "If you want to encrypt it yourself",
	EncryptText:     "You do not have to: what you send by the form is sealed when it arrives. If you would rather encrypt it yourself, use this key, and send the message by the form, the program interface or mail.",
	EncryptOwner:    "For",
	EncryptExpires:  "Expires",
	EncryptGet:      "Download the key",
	EncryptClear:    "Mail you do not encrypt can be read on its way.",
	Supported:       "Supported versions",
	SeriesName:      "Series",
	SeriesUntil:     "Supported until",
	SeriesUntilOpen: "no end set",
	SeriesBranch:    "development branch: fixed in public, no release",
	SeriesYes:       "supported",
	SeriesNo:        "no longer supported",
	How:             "How we disclose",
	HowLead:         "Distributors who repackage %s are told %s before the release, in confidence.",
	HowAhead:        "The date and the severities of a release are announced ahead.",
	HowAnnounce:     "On the day we announce to",
	HowOSS:          "On the day we also tell",
	HowLevels:       "We rate severity as",
	HowPlace:        "Everything disclosed is listed under",
	Harbor:          "Good faith",
	Apply:           "Advance notification",
	ApplyText:       "Organizations that ship %s to others may ask to be told ahead.",
	ApplyLink:       "Ask for advance notification",
	Version:         "Policy %s, version %d.",
	VersionOnly:     "Policy version %d.",
	Effective:       "In force since %s.",
}

var englishReport = ReportTexts{
	Title:           "Report a vulnerability",
	Who:             "Who reads it",
	WhoText:         "%s",
	WhoGeneral:      "the security team, and nobody else",
	Soon:            "How soon",
	SoonText:        "A first answer within %s.",
	Next:            "What happens next",
	NextGeneral:     "You get a mailbox code. With it you read our answers and add to your report.",
	Need:            "What you need",
	NeedText:        "Nothing but the first answer below. No account, no name.",
	Description:     "What did you find?",
	DescriptionHint: "One sentence is enough to begin. If you are not sure that it is a vulnerability, send it all the same.",
	Versions:        "Where is it?",
	VersionsHint:    "Versions, component, platform; what you know.",
	Reproduce:       "How can we see it happen?",
	ReproduceHint:   "Steps, commands or code. Long ones as files.",
	Impact:          "What could somebody do with it?",
	ImpactHint:      "And what do they need first: an account, a certain setting?",
	Address:         "Mail address",
	AddressHint:     "Only if you want mail: it says that something new is in your mailbox, at most once a day, and no word of what. The mailbox works without.",
	AddressSealed:   "For the team alone. We send no mail unencrypted: with your own key, under “More, if you have it”, you are told when something new is in your mailbox. The mailbox works without.",
	Files:           "Files",
	FilesHint:       "All together at most %s.",
	More:            "More, if you have it",
	Name:            "Name",
	NameHint:        "What we may call you. This is not yet a credit; we ask about that.",
	OwnKey:          "Your public key",
	OwnKeyHint:      "An armored OpenPGP key, if you want our mail encrypted to you.",
	AskThreat:       "Which part of our threat model does it break?",
	AskAI:           "Did a program find or write this? Which one, and what did you check yourself?",
	AskExploited:    "Do you know of anybody using it?",
	AskPublic:       "Is any of it public already? Where?",
	AskDeadline:     "Do you plan to publish? When?",
	Button:          "Send the report",
	Sealed:          "It travels over this page's connection and is sealed as it arrives. Stored, it can be read by the team alone.",
	SealedOld:       "To encrypt it before it leaves your machine, encrypt it to our key and paste the message above.",
	BrowserReady:    "It will be encrypted in your browser to the team's key before it is sent.",
	Draft:           "Keep a draft in this browser",
	DraftHint:       "Nothing is kept unless you press this. The draft stays on this device, unencrypted, until you send it or forget it.",
	DraftOn:         "A draft is kept on this device, unencrypted. Files are not.",
	DraftBack:       "Your draft was brought back. Files have to be chosen again.",
	DraftForget:     "Forget the draft",
	DraftForgotten:  "Forgotten. What you typed is on this page alone.",
	DraftFailed:     "This browser does not let us keep a draft.",
	NotStored:       "Not stored",
	NotStoredText:   "Not stored: the database did not answer. Your text is still here. Try again.",
	NotStoredFiles:  "Files have to be chosen again.",
	Again:           "Try again",
	SecretTitle:     "That was a private key",
	SecretText:      "What you pasted holds a private key. It was not kept in this form. Treat that key as known to others: revoke it. Then write again, without it.",
	Key:             "Our key",
	KeyDownload:     "Download the key",
	Other:           "You can also write to",
}

var englishReceipt = ReceiptTexts{
	Title:             "We have your report",
	Once:              "This code is shown once. Keep it now.",
	OnceText:          "It opens your mailbox: our answers, and a way to add to your report. We do not keep it and cannot make another.",
	Code:              "Your mailbox code",
	Copy:              "Copy the code",
	Print:             "Print this page",
	Save:              "Save as a file",
	Copied:            "Copied.",
	Saved:             "Saved.",
	Kept:              "I have kept the code",
	KeepFirst:         "Keep the code first: copy it, save it, or write it down and tick the box.",
	KeepPlain:         "Write the eight words down before you leave this page. They are not shown again.",
	CopyFailed:        "Copying is not allowed here. Select the words instead.",
	FileName:          "mailbox-code.txt",
	What:              "What was received",
	Received:          "Received",
	DigestMessage:     "SHA-256 of the message as you sent it",
	DigestDescription: "SHA-256 of your description (UTF-8, line ends LF)",
	DigestFile:        "SHA-256 of %s",
	Protection:        "Protection",
	ProtectionBrowser: "Encrypted in your browser to our key. What arrived was already closed.",
	ProtectionKey:     "It arrived encrypted to our key.",
	ProtectionRetired: "It arrived encrypted to an older key of ours. We can still open it.",
	ProtectionUnknown: "It arrived encrypted; which key it is for cannot be seen from outside.",
	ProtectionSealed:  "It was sealed as it arrived. Stored, it can be read by the team alone.",
	Next:              "What happens next",
	NextWho:           "Your report is read by %s.",
	NextSoon:          "A member of the team answers within %s.",
	NextHow:           "The answer lies in your mailbox.",
	Open:              "Open the mailbox",
	Where:             "You come back with it at %s",
	OpenHint:          "Until a member of the team has opened your report, the mailbox is empty.",
}

var englishPaused = PausedTexts{
	Title: "Reports are paused",
	Text:  "The form takes nothing at the moment. Mail is still kept, in order:",
	Back:  "Back to the policy",
}

var englishRequest = RequestTexts{
	Title:            "Ask for advance notification",
	Intro:            "For organizations that ship the software to others. Most users need only the date, which is public.",
	Decide:           "The team decides, at its own discretion, and answers within %s. Being on the list is confidential on both sides.",
	Who:              "Who you are",
	Name:             "Full name",
	Organization:     "Organization",
	OrganizationHint: "The one you are authorized to speak for.",
	Role:             "Your role there",
	Address:          "Your mail address",
	Why:              "Why",
	Group:            "Which group fits",
	Criterion:        "How does it fit?",
	CriterionHint:    "In detail: whom you ship to, since when, how many.",
	Need:             "Why do you need to know ahead?",
	List:             "The address to be told",
	ListAddress:      "Address to add",
	ListAddressHint:  "One that a team reads, where there is a team.",
	Reviewers:        "Who receives and reads that mail?",
	Automated:        "What happens to it automatically?",
	AutomatedHint:    "Tickets, archives, mirrors. Write “nothing” if nothing does.",
	Key:              "Key",
	KeyHint:          "Fingerprint or armored public key. Required if you ask as an individual.",
	Button:           "Send the application",
	Choose:           "Choose one",

	IntroList:         "It is announced on this list:",
	DecideAny:         "The team decides, at its own discretion, and answers. Being on the list is confidential on both sides.",
	Missing:           "Still missing: “%s”",
	NoAddress:         "This does not look like one mail address: “%s”",
	OrganizationOrKey: "Still missing: “Organization”. If you ask as an individual, give a key below instead.",
	Stored:            "We have your application",
	OnceText:          "It opens your mailbox: our answer, and a way to add to your application. We do not keep it and cannot make another.",
}
