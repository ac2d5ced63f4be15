"""The tables a report draws from predictions of several labels, each a finding with one plain sentence."""



