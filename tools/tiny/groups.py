"""Major groups of occ1990dd occupations: hand-written guesses on schooling, sex and pay, and what people in them do."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Group:
    """A range of occupation codes.

    Attributes
    ----------
    first, last : int
        Codes of occ1990dd, both included.
    name : str
        Words for the group.
    level : float
        Usual schooling, from 0 (no diploma) to 5 (doctorate).
    women : float
        Share of women.
    pay : float
        Logarithm of an hourly wage.
    does : tuple of str
        What people in it do, as ends of sentences that begin with a title.
    """

    first: int
    last: int
    name: str
    level: float
    women: float
    pay: float
    does: tuple[str, ...]


GROUPS = (
    Group(4, 22, "managers", 2.8, 0.45, 3.1, ("plan the work of others", "lead a team and decide how money is spent")),
    Group(
        23,
        37,
        "business specialists",
        3.0,
        0.55,
        3.0,
        ("look after accounts, contracts and staff", "check figures and advise managers"),
    ),
    Group(
        43,
        59,
        "engineers and architects",
        3.4,
        0.12,
        3.3,
        ("design buildings and machines", "work out plans and test that they are safe"),
    ),
    Group(
        64,
        83,
        "scientists",
        3.6,
        0.3,
        3.3,
        ("study how things work", "collect data, write programs and report results"),
    ),
    Group(
        84, 89, "physicians", 4.9, 0.3, 3.7, ("find out what patients suffer from", "treat the sick after long study")
    ),
    Group(
        95,
        106,
        "nurses and therapists",
        3.0,
        0.85,
        3.1,
        ("care for patients in hospitals", "help patients to recover and give medicine"),
    ),
    Group(
        154,
        165,
        "teachers and librarians",
        3.6,
        0.72,
        2.9,
        ("teach pupils in schools", "prepare lessons and help people to learn"),
    ),
    Group(
        166,
        178,
        "social and legal professionals",
        3.8,
        0.55,
        3.0,
        ("advise people and speak for them", "study society and help those in need"),
    ),
    Group(
        183,
        199,
        "artists and athletes",
        2.8,
        0.5,
        2.8,
        ("write, draw or perform for the public", "make works that others enjoy"),
    ),
    Group(
        203,
        208,
        "health technicians",
        2.1,
        0.78,
        2.7,
        ("run tests and keep records in clinics", "help doctors with machines and samples"),
    ),
    Group(
        214,
        235,
        "technicians",
        2.3,
        0.3,
        2.9,
        ("operate and test technical equipment", "help engineers and scientists with their work"),
    ),
    Group(
        243,
        285,
        "sales workers",
        1.5,
        0.5,
        2.5,
        ("sell goods to customers", "show products, take payments and answer questions"),
    ),
    Group(
        303,
        389,
        "office workers",
        1.5,
        0.75,
        2.5,
        ("keep records and answer calls in offices", "type letters, sort papers and enter data"),
    ),
    Group(
        405, 408, "cleaners", 0.6, 0.85, 2.0, ("clean rooms and wash clothes", "keep houses and hotels neat and tidy")
    ),
    Group(
        413,
        427,
        "protective service workers",
        1.6,
        0.18,
        2.8,
        ("protect people and property", "keep order, watch buildings and fight fires"),
    ),
    Group(
        433,
        444,
        "food service workers",
        0.8,
        0.6,
        2.0,
        ("prepare and serve meals", "work in kitchens and wait on guests in restaurants"),
    ),
    Group(
        445,
        472,
        "service workers",
        1.1,
        0.65,
        2.2,
        ("look after people, gardens and buildings", "serve people in their daily life"),
    ),
    Group(
        473,
        498,
        "farm and forest workers",
        0.6,
        0.18,
        2.1,
        ("grow crops and raise animals", "work outdoors on farms, in forests or at sea"),
    ),
    Group(
        503,
        549,
        "mechanics and repairers",
        1.2,
        0.05,
        2.8,
        ("repair machines and vehicles", "find faults, replace parts and install equipment"),
    ),
    Group(
        558,
        599,
        "construction workers",
        1.0,
        0.03,
        2.8,
        ("build houses, roads and bridges", "work on building sites with tools and materials"),
    ),
    Group(
        614,
        617,
        "miners",
        0.9,
        0.03,
        2.9,
        ("take oil and minerals from the ground", "drill, blast and dig underground"),
    ),
    Group(
        628,
        699,
        "craft workers in production",
        1.2,
        0.22,
        2.7,
        ("make things with skilled hands", "shape metal, wood, cloth or food in workshops"),
    ),
    Group(
        703,
        799,
        "machine operators",
        0.8,
        0.38,
        2.4,
        ("run machines in factories", "feed machines, watch them and check what they make"),
    ),
    Group(
        803,
        859,
        "transport workers",
        0.9,
        0.1,
        2.6,
        ("drive vehicles and move goods", "carry people and loads from place to place"),
    ),
    Group(
        865,
        889,
        "laborers",
        0.6,
        0.18,
        2.2,
        ("lift, load and pack by hand", "help others with heavy work in warehouses and on sites"),
    ),
)

# Occupations that many people have at some time; all others are a fifth as common.
COMMON = (
    "Managers and administrators, n.e.c.",
    "Accountants and auditors",
    "Computer systems analysts and computer scientists",
    "Computer programmers",
    "Registered nurses",
    "Primary school teachers",
    "Secondary school teachers",
    "Social workers",
    "Lawyers and judges",
    "Subject instructors, college",
    "Sales supervisors and proprietors",
    "Sales workers",
    "Sales occupations and sales representatives",
    "Cashiers",
    "Secretaries and administrative assistants",
    "Receptionists and other information clerks",
    "Bookkeepers and accounting and auditing clerks",
    "Stock and inventory clerks",
    "Shipping and receiving clerks",
    "Customer service representatives, investigators, and adjusters, excluding insurance",
    "General office clerks",
    "Office supervisors",
    "Teacher's aides",
    "Housekeepers, maids, butlers, and cleaners",
    "Guards and police, except public service",
    "Police and detectives, public service",
    "Supervisors of food preparation and service",
    "Bartenders",
    "Waiters and waitresses",
    "Cooks",
    "Food preparation workers",
    "Miscellaneous food preparation and service workers",
    "Health and nursing aides",
    "Janitors",
    "Gardeners and groundskeepers",
    "Hairdressers and cosmetologists",
    "Child care workers",
    "Farm workers, including nursery farming and marine life cultivation workers",
    "Automobile mechanics and repairers",
    "Carpenters",
    "Electricians",
    "Construction laborers",
    "Painters, construction and maintenance",
    "Production supervisors or foremen",
    "Machine operators, n.e.c.",
    "Assemblers of electrical equipment",
    "Welders, solderers, and metal cutters",
    "Driver/sales workers and truck drivers",
    "Industrial truck and tractor operators",
    "Packers and packagers by hand",
    "Laborers, freight, stock, and material handlers, n.e.c.",
)
