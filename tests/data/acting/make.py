"""Traffic of three applications on a real server, for tests/acting.rs.

Usage: make.py CONNECTION_STRING LOG_DIRECTORY OUT_DIRECTORY   (superuser; log_destination has csvlog)
Needs sqlalchemy, psycopg and django. Writes for each application its log and the truth: one line a unit of work.
"""
import glob, gzip, json, os, random, sys, time, uuid
import psycopg

URL, LOGS, OUT = sys.argv[1:4]
HERE = os.path.dirname(os.path.abspath(__file__))
random.seed(7)


def database(name):
    with psycopg.connect(URL, autocommit=True) as admin:
        admin.execute(f"DROP DATABASE IF EXISTS {name}")
        admin.execute(f"CREATE DATABASE {name}")
    url = psycopg.conninfo.make_conninfo(URL, dbname=name)
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute(open(f"{HERE}/{name}.sql").read())
    return url


def take(name, truth):
    """The lines of the log that are of this database."""
    time.sleep(1)
    lines, record = [], ""
    for path in sorted(glob.glob(f"{LOGS}/*.csv")):
        for line in open(path, newline=""):
            record += line
            if record.count('"') % 2 == 0:
                if f',"{name}",' in record and '"app_' in record:
                    lines.append(record)
                record = ""
    with gzip.open(f"{OUT}/{name}.csv.gz", "wt") as out:
        out.writelines(lines)
    with open(f"{OUT}/{name}.truth.jsonl", "w") as out:
        for unit in truth:
            out.write(json.dumps(unit) + "\n")
    print(name, len(truth), "units", len(lines), "records")


def bazaar():
    """SQLAlchemy, one role, no setting: the session is looked up, then its user."""
    from sqlalchemy import create_engine, text
    from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

    url = database("bazaar")
    class Base(DeclarativeBase): pass
    class User(Base):
        __tablename__ = "users"
        id: Mapped[int] = mapped_column(primary_key=True)
        email: Mapped[str]; name: Mapped[str]; password_hash: Mapped[str]
    class Login(Base):
        __tablename__ = "logins"
        id: Mapped[int] = mapped_column(primary_key=True)
        user_id: Mapped[int]; token: Mapped[str]
    class Listing(Base):
        __tablename__ = "listings"
        id: Mapped[int] = mapped_column(primary_key=True)
        seller_id: Mapped[int]; category_id: Mapped[int]; title: Mapped[str]; price: Mapped[int]; status: Mapped[str]
    class Photo(Base):
        __tablename__ = "photos"
        id: Mapped[int] = mapped_column(primary_key=True)
        listing_id: Mapped[int]; url: Mapped[str]
    class Order(Base):
        __tablename__ = "orders"
        id: Mapped[int] = mapped_column(primary_key=True)
        buyer_id: Mapped[int]; listing_id: Mapped[int]; total: Mapped[int]; status: Mapped[str]
    class Message(Base):
        __tablename__ = "messages"
        id: Mapped[int] = mapped_column(primary_key=True)
        sender_id: Mapped[int]; recipient_id: Mapped[int]; body: Mapped[str]

    def engine(application):
        made = psycopg.conninfo.conninfo_to_dict(url)
        return create_engine("postgresql+psycopg://", connect_args={**made, "user": "app_bazaar", "application_name": application})

    web, worker, truth = engine("web"), engine("worker"), []
    tokens = {n: f"token-{n}" for n in range(1, 31)}

    def actor(session, user):
        login = session.query(Login).filter(Login.token == tokens[user]).one()
        return session.get(User, login.user_id)

    def browse(session):
        for listing in session.query(Listing).filter(Listing.status == "live").order_by(Listing.id.desc()).limit(5):
            session.query(Photo).filter(Photo.listing_id == listing.id).all()
    def show(session):
        listing = session.get(Listing, random.randint(1, 200))
        session.get(User, listing.seller_id)
    def my_orders(session, me): session.query(Order).filter(Order.buyer_id == me.id).limit(10).all()
    def my_sales(session, me):
        session.query(Order).join(Listing, Listing.id == Order.listing_id).filter(Listing.seller_id == me.id).limit(10).all()
    def edit(session, me):
        own = session.query(Listing).filter(Listing.seller_id == me.id).first()
        if own: own.title = f"title {random.random()}"
        session.flush()
    def buy(session, me):
        listing = session.get(Listing, random.randint(1, 200))
        session.add(Order(buyer_id=me.id, listing_id=listing.id, total=listing.price, status="paid")); session.flush()
    def write(session, me):
        session.add(Message(sender_id=me.id, recipient_id=random.randint(1, 30), body="hello")); session.flush()
    def inbox(session, me): session.query(Message).filter(Message.recipient_id == me.id).limit(10).all()
    def profile(session, me): me.name = f"name {random.random()}"; session.flush()

    for _ in range(420):
        kind = random.choices(["user", "anonymous", "sign-in", "service"], [60, 18, 10, 12])[0]
        user = random.randint(1, 30)
        with Session(worker if kind == "service" else web) as session, session.begin():
            if kind == "user":
                me = actor(session, user)
                action = random.choice([my_orders, my_sales, edit, buy, write, inbox, profile, lambda s, m: browse(s), lambda s, m: show(s)])
                action(session, me)
            elif kind == "anonymous":
                random.choice([browse, show])(session)
            elif kind == "sign-in":
                found = session.query(User).filter(User.email == f"u{user}@example.org").one()
                session.add(Login(user_id=found.id, token=f"fresh-{uuid.uuid4()}")); session.flush()
            else:
                random.choice([
                    lambda: session.execute(text("SELECT status, sum(total) FROM orders GROUP BY status")).all(),
                    lambda: session.execute(text("UPDATE listings SET status = 'sold' WHERE id = :id"), {"id": random.randint(1, 200)}),
                ])()
        truth.append({"acts_for": kind, "user": str(user) if kind == "user" else None})
    take("bazaar", truth)


def clinic():
    """Django with a setting for the user and one for the tenant, in the transaction of each request."""
    import django
    from django.conf import settings
    made = psycopg.conninfo.conninfo_to_dict(database("clinic"))
    settings.configure(
        INSTALLED_APPS=[], USE_TZ=True,
        DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", "NAME": "clinic", "USER": "app_clinic",
                               "HOST": made.get("host"), "PORT": made.get("port"), "OPTIONS": {"application_name": "portal"}}})
    django.setup()
    from django.db import connection, models, transaction

    class Patient(models.Model):
        id = models.UUIDField(primary_key=True, default=uuid.uuid4); tenant_id = models.IntegerField(); name = models.TextField()
        class Meta: app_label = "clinic"; db_table = "patients"
    class Visit(models.Model):
        patient = models.ForeignKey(Patient, on_delete=models.CASCADE); doctor_id = models.UUIDField(); tenant_id = models.IntegerField(); note = models.TextField()
        class Meta: app_label = "clinic"; db_table = "visits"
    class Notice(models.Model):
        title = models.TextField(); public = models.BooleanField()
        class Meta: app_label = "clinic"; db_table = "notices"

    with connection.cursor() as cursor:
        cursor.execute("SELECT id, tenant_id FROM staff ORDER BY name")
        staff = cursor.fetchall()
    truth = [{"acts_for": "anonymous", "user": None}]
    for _ in range(260):
        kind = random.choices(["user", "anonymous"], [80, 20])[0]
        me, tenant = random.choice(staff)
        with transaction.atomic():
            if kind == "user":
                with connection.cursor() as cursor:
                    cursor.execute("SELECT set_config('app.staff_id', %s, true), set_config('app.tenant', %s, true)", [str(me), str(tenant)])
                action = random.randint(0, 3)
                if action == 0: list(Patient.objects.filter(tenant_id=tenant)[:5])
                elif action == 1: list(Visit.objects.filter(doctor_id=me).order_by("-id")[:5])
                elif action == 2:
                    patient = Patient.objects.filter(tenant_id=tenant).first()
                    Visit.objects.create(patient=patient, doctor_id=me, tenant_id=tenant, note="seen")
                else: list(Notice.objects.filter(public=True)[:5])
            else:
                list(Notice.objects.filter(public=True)[:5])
        truth.append({"acts_for": kind, "user": str(me) if kind == "user" else None, "tenant": str(tenant) if kind == "user" else None})
    connection.close()
    take("clinic", truth)


def board():
    """psycopg with the claims of a token, as PostgREST sets them; statements name no user."""
    url = database("board")
    with psycopg.connect(url) as owner:
        users = [str(row[0]) for row in owner.execute("SELECT id FROM accounts ORDER BY id").fetchall()]
    truth = []
    with psycopg.connect(url, user="app_board", application_name="rest", autocommit=True) as web:
        for _ in range(240):
            kind = random.choices(["user", "anonymous"], [75, 25])[0]
            me = random.choice(users)
            claims = {"role": "app_board", "exp": int(time.time()) + random.randint(1, 3600)}
            if kind == "user": claims |= {"sub": me, "email": f"{me[:4]}@example.org"}
            with web.transaction():
                web.execute("SELECT set_config('search_path', 'public', true), set_config('request.jwt.claims', %s, true)", [json.dumps(claims)])
                random.choice([
                    lambda: web.execute("SELECT id, title FROM boards ORDER BY id LIMIT %s", [5]).fetchall(),
                    lambda: web.execute("SELECT c.id, c.text FROM cards c WHERE c.board_id = %s", [random.randint(1, 20)]).fetchall(),
                    lambda: web.execute("UPDATE cards SET text = %s WHERE id = %s", ["done", random.randint(1, 100)]),
                ])()
            truth.append({"acts_for": kind, "user": me if kind == "user" else None})
    take("board", truth)


for application in sys.argv[4:] or ["bazaar", "clinic", "board"]:
    {"bazaar": bazaar, "clinic": clinic, "board": board}[application]()
